//! The bound on links: which arguments hold text, and whether that text leads only where it may.

use crate::arg::{ArgKind, ArgValue, Arguments};
use crate::host::HostPattern;
use crate::links;
use crate::step::{LookedUp, ParamSource};
use crate::tool::Tool;

/// Whether all that a call of the tool would send is in its arguments.
///
/// # Errors
/// Why not, as a clause for the admin.
pub(super) fn enforceable(tool: &Tool) -> Result<(), String> {
    // What is taken over out of the object, such as the text that is answered or forwarded, nobody has looked through.
    let copies = tool.steps.iter().flat_map(|step| step.params.values()).any(|source| match source {
        ParamSource::Look { kind: LookedUp::Text | LookedUp::Json, .. } => true,
        ParamSource::Look { kind: LookedUp::Addresses, .. } | ParamSource::Answer | ParamSource::Scope(_) => {
            false
        }
    });
    if copies && !tool.effect.is_read() {
        Err(format!(
            "{} sends text on that is not in its arguments, and nobody looks for links there",
            tool.name
        ))
    } else {
        Ok(())
    }
}

/// Decides every argument that holds text; the error is which of them, and what it leads to.
pub(super) fn decide(hosts: &[HostPattern], tool: &Tool, args: &Arguments) -> Result<(), (String, String)> {
    for (name, arg) in &tool.args {
        let Some(value) = args.get(name) else { continue };
        let texts: &[&str] = match (&arg.kind, value) {
            (ArgKind::Line { .. } | ArgKind::Text { .. } | ArgKind::Branch, ArgValue::Text(text)) => {
                &[text.as_str()]
            }
            (ArgKind::Url, ArgValue::Url(url)) => &[url.as_str()],
            // These cannot hold free text: ids, numbers, days, words of the catalog's own, names of files, addresses.
            (
                ArgKind::Id
                | ArgKind::Ids { .. }
                | ArgKind::Integer { .. }
                | ArgKind::Boolean
                | ArgKind::Date
                | ArgKind::DateTime
                | ArgKind::Calendar
                | ArgKind::Calendars { .. }
                | ArgKind::Event
                | ArgKind::Addresses { .. }
                | ArgKind::Choice(_)
                | ArgKind::Page
                | ArgKind::Name
                | ArgKind::Path,
                _,
            ) => &[],
            // What a file says cannot be looked through.
            (ArgKind::Attachments { .. } | ArgKind::Upload { .. }, _) => {
                return Err((name.to_string(), "(a file)".to_owned()));
            }
            // A text that is none cannot be looked through.
            (ArgKind::Line { .. } | ArgKind::Text { .. } | ArgKind::Branch | ArgKind::Url, _) => {
                return Err((name.to_string(), "(no text)".to_owned()));
            }
        };
        for text in texts {
            links::check(text, hosts).map_err(|found| (name.to_string(), found))?;
        }
    }
    Ok(())
}
