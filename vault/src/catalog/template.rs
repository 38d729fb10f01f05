//! Templates: strings of the form `{name}`, lists, tables, and codecs with their fields.

use std::collections::BTreeMap;

use claviger_domain::arg::{Arg, ArgKind};
use claviger_domain::name::Ident;
use claviger_domain::step::{Codec, LookedUp, ParamSource, Template};
use toml::Value;

/// The names a template may use, with their kinds; parameters that are no arguments have none.
pub(super) struct Names<'a> {
    pub(super) args: Option<&'a BTreeMap<Ident, Arg>>,
    pub(super) params: &'a BTreeMap<Ident, ParamSource>,
}

/// What a look's addresses come as.
const LOOKED_UP: ArgKind = ArgKind::Addresses { max: usize::MAX };

impl Names<'_> {
    /// The name, if it is known. A service's own steps are filled by whoever uses them, so any name will do there.
    pub(super) fn find(&self, text: &str) -> Result<Ident, String> {
        let name: Ident = text.parse().map_err(|error: claviger_domain::name::BadName| error.to_string())?;
        let known = self.args.is_none_or(|args| args.contains_key(&name)) || self.params.contains_key(&name);
        if known { Ok(name) } else { Err(format!("no argument or parameter {name}")) }
    }

    /// The name of what may stand for the end of a path: the path of a file, or a branch.
    pub(super) fn path_like(&self, text: &str) -> Result<Ident, String> {
        let name = self.find(text)?;
        match self.kind(&name) {
            Some(ArgKind::Path | ArgKind::Branch) => Ok(name),
            // A service's own step is filled by the vault.
            None if self.args.is_none() => Ok(name),
            _ => Err(format!("{name} is of the wrong type for the end of a path")),
        }
    }

    fn kind(&self, name: &Ident) -> Option<&ArgKind> {
        match self.params.get(name) {
            Some(ParamSource::Look { kind: LookedUp::Addresses, .. }) => Some(&LOOKED_UP),
            _ => self.args.and_then(|args| args.get(name)).map(|arg| &arg.kind),
        }
    }
}

/// Reads one template.
pub(super) fn parse(value: &Value, names: &Names<'_>) -> Result<Template, String> {
    match value {
        Value::String(text) => match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => names.find(name).map(Template::Param),
            None if text.contains(['{', '}']) => {
                Err(format!("{text:?}: a parameter stands alone, as \"{{name}}\""))
            }
            None => Ok(Template::Literal(text.clone())),
        },
        Value::Array(items) => {
            items.iter().map(|item| parse(item, names)).collect::<Result<_, _>>().map(Template::List)
        }
        Value::Table(table) => match table.get("codec") {
            Some(Value::String(word)) => codec(word, table, names),
            Some(_) => Err("codec is a name".to_owned()),
            None => object(table, names).map(Template::Object),
        },
        _ => Err("a template is a text, a list or a table".to_owned()),
    }
}

/// A media type: the catalog's own word, or an argument of type choice. From free text a service could be told to convert.
pub(super) fn media_type(value: &Value, names: &Names<'_>) -> Result<Template, String> {
    match parse(value, names)? {
        Template::Literal(text) => Ok(Template::Literal(text)),
        Template::Param(name) if matches!(names.kind(&name), Some(ArgKind::Choice(_))) => {
            Ok(Template::Param(name))
        }
        _ => Err("type is a media type, or an argument of type choice".to_owned()),
    }
}

fn object(table: &toml::Table, names: &Names<'_>) -> Result<BTreeMap<String, Template>, String> {
    table.iter().map(|(name, value)| Ok((name.clone(), parse(value, names)?))).collect()
}

fn codec(word: &str, table: &toml::Table, names: &Names<'_>) -> Result<Template, String> {
    let (codec, known) = Codec::from_word(word).ok_or_else(|| format!("no codec {word}"))?;
    let mut fields = BTreeMap::new();
    for (name, value) in table.iter().filter(|(name, _)| name.as_str() != "codec") {
        if !known.contains(&name.as_str()) {
            return Err(format!("{word} has no field {name}"));
        }
        let template = parse(value, names)?;
        fits(codec, name, &template, names)?;
        fields.insert(name.clone(), template);
    }
    Ok(Template::Codec(codec, fields))
}

/// Whether a typed field of a codec gets what it needs, so that rendering cannot fail on the catalog's account.
fn fits(codec: Codec, field: &str, template: &Template, names: &Names<'_>) -> Result<(), String> {
    let kind = match template {
        Template::Param(name) => names.kind(name),
        _ => None,
    };
    let wanted = match (codec, field) {
        (Codec::Rfc5322, "to" | "cc" | "bcc" | "reply_to") => matches!(kind, Some(ArgKind::Addresses { .. })),
        (Codec::Rfc5322, "attachments") => matches!(kind, Some(ArgKind::Attachments { .. })),
        (Codec::Rfc5322, "unaddressed") => matches!(template, Template::Literal(_)),
        (Codec::GmailQuery, "after" | "before") | (Codec::DriveQuery, "modified_after") => {
            matches!(kind, Some(ArgKind::Date))
        }
        (Codec::Moment | Codec::EventTime, "at") => matches!(kind, Some(ArgKind::DateTime)),
        (Codec::Guests, "add" | "remove") => matches!(kind, Some(ArgKind::Addresses { .. })),
        (Codec::Each, "of") => is_list(kind),
        (Codec::GmailQuery, "has_attachment" | "unread") => matches!(kind, Some(ArgKind::Boolean)),
        (Codec::BranchRef, "of") => matches!(kind, Some(ArgKind::Branch)),
        (Codec::Json | Codec::Base64url | Codec::Base64, _) => true,
        (Codec::Only, _) => is_list(kind),
        (Codec::Flag, _) => matches!(template, Template::Literal(text) if text == "true" || text == "false"),
        (Codec::MultipartRelated, "metadata") => matches!(template, Template::Object(_)),
        _ => matches!(template, Template::Literal(_) | Template::Param(_)) && !is_list(kind),
    };
    if wanted { Ok(()) } else { Err(format!("{field} does not fit what it is filled with")) }
}

fn is_list(kind: Option<&ArgKind>) -> bool {
    matches!(
        kind,
        Some(
            ArgKind::Ids { .. }
                | ArgKind::Addresses { .. }
                | ArgKind::Attachments { .. }
                | ArgKind::Calendars { .. }
        )
    )
}
