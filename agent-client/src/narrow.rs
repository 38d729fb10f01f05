//! Bounds of a child handle: what a sub-agent may do of what this agent may.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_proto::v1::{
    ArgumentBound, Caveat, Hosts, OpenHandle, Paths, Patterns, Rate, Resource, Tools, argument_bound, caveat,
};
use zeroize::Zeroize as _;

use crate::error::ClientError;
use crate::grants::handle_bytes;

/// How a child is bounded beyond its parent. Each part can only take away; what is left out stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Only these tools, by the names hosts see or by those of the catalog.
    pub tools: Vec<String>,
    /// What it is for: one line of at most 60 characters, for people.
    pub label: String,
    /// For so long from now.
    pub expires_in: Option<Duration>,
    /// So many calls altogether.
    pub calls: Option<u64>,
    /// So many calls in so many seconds.
    pub rate: Option<(u32, u64)>,
    /// So many bytes a day (UTC), sent and received together.
    pub bytes_a_day: Option<u64>,
    /// Only to these addresses; `*@example.com` for a whole domain.
    pub recipients: Vec<String>,
    /// Only objects with one of these ids, by resource: `folder`, `label`.
    pub resources: BTreeMap<String, Vec<String>>,
    /// Only under these paths.
    pub paths: Vec<String>,
    /// Bounds of single arguments, such as `max_results.max=10`, `bcc.absent` or `to.each-in=a@b.example`.
    pub arguments: Vec<String>,
}

/// A child handle as the vault made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its text, `hdl_…`. No secret: without its proof key, which only this agent's user can open, it is worth nothing.
    pub id: String,
    /// The handle it was made of.
    pub parent: String,
    /// What it is for.
    pub label: String,
    /// The grant behind it.
    pub grant: String,
    /// The tools it can call, by the names hosts see.
    pub tools: Vec<String>,
    /// When it ends, in milliseconds since 1970; 0 for never.
    pub expires_at_ms: u64,
}

impl Child {
    /// Checks the vault's answer; the proof key in it is erased.
    pub(crate) fn read(mut handle: OpenHandle) -> Result<Self, ClientError> {
        handle.proof_key.zeroize();
        let OpenHandle {
            id,
            grant,
            secret: _,
            proof_key: _,
            tools,
            expires_at_ms,
            adapter: _,
            parent,
            label,
        } = handle;
        if handle_bytes(&id).is_none() || handle_bytes(&parent).is_none() {
            return Err(ClientError::BadAnswer("a handle's id is not one"));
        }
        let tools = tools.into_iter().map(|tool| tool.mcp_name).collect();
        Ok(Self { id, parent, label, grant, tools, expires_at_ms })
    }
}

impl Bounds {
    /// The bounds as the vault takes them; `tools` by the catalog's names, `now_ms` in milliseconds since 1970.
    pub(crate) fn caveats(&self, tools: Vec<String>, now_ms: u64) -> Result<Vec<Caveat>, ClientError> {
        let Self {
            tools: _,
            label: _,
            expires_in,
            calls,
            rate,
            bytes_a_day,
            recipients,
            resources,
            paths,
            arguments,
        } = self;
        let mut kinds = Vec::new();
        if !tools.is_empty() {
            kinds.push(caveat::Kind::Tools(Tools { names: tools }));
        }
        if let Some(span) = expires_in {
            let span = u64::try_from(span.as_millis()).map_err(|_| ClientError::Bounds("it never ends"))?;
            kinds.push(caveat::Kind::ExpiresAtMs(now_ms.saturating_add(span)));
        }
        kinds.extend(calls.map(caveat::Kind::Calls));
        kinds.extend(rate.map(|(count, per_seconds)| caveat::Kind::Rate(Rate { count, per_seconds })));
        kinds.extend(bytes_a_day.map(caveat::Kind::BytesADay));
        if !recipients.is_empty() {
            kinds.push(caveat::Kind::Recipients(Patterns { patterns: recipients.clone() }));
        }
        for (name, ids) in resources {
            let values =
                ids.iter().map(|id| format!("id:{}", id.strip_prefix("id:").unwrap_or(id))).collect();
            let resource = Resource { name: name.clone(), values, shown: Vec::new(), nested: false };
            kinds.push(caveat::Kind::Resource(resource));
        }
        if !paths.is_empty() {
            kinds.push(caveat::Kind::Paths(Paths { prefixes: paths.clone() }));
        }
        for text in arguments {
            kinds.push(caveat::Kind::Argument(argument(text)?));
        }
        Ok(kinds.into_iter().map(|kind| Caveat { kind: Some(kind) }).collect())
    }
}

/// `ARGUMENT.RULE=VALUE`, as `claviger grant add --bound` takes it.
fn argument(text: &str) -> Result<ArgumentBound, ClientError> {
    use argument_bound::Bound;
    let bad = || {
        ClientError::Bounds(
            "a bound is ARGUMENT.max=N, .min-length=N, .max-length=N, .one-of=a,b, .each-in=a,b, .hosts=a,b or \
             ARGUMENT.absent",
        )
    };
    let (path, value) = match text.split_once('=') {
        Some((path, value)) => (path, Some(value)),
        None => (text, None),
    };
    let (argument, rule) = path.rsplit_once('.').ok_or_else(bad)?;
    let bound = match (rule, value) {
        ("absent", None) => Bound::Absent(true),
        ("max", Some(value)) => Bound::Max(value.parse().map_err(|_| bad())?),
        ("max-length", Some(value)) => Bound::MaxLength(number(value).ok_or_else(bad)?),
        ("min-length", Some(value)) => Bound::MinLength(number(value).ok_or_else(bad)?),
        ("one-of", Some(value)) => Bound::OneOf(Patterns { patterns: list(value).ok_or_else(bad)? }),
        ("each-in", Some(value)) => Bound::EachIn(Patterns { patterns: list(value).ok_or_else(bad)? }),
        ("hosts", Some(value)) => Bound::Hosts(Hosts { hosts: list(value).ok_or_else(bad)?, query: false }),
        _ => return Err(bad()),
    };
    Ok(ArgumentBound { argument: argument.to_owned(), bound: Some(bound) })
}

/// Values between commas, none of them empty.
pub(crate) fn list(text: &str) -> Option<Vec<String>> {
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    (!items.iter().any(String::is_empty)).then_some(items)
}

/// `90s`, `15m`, `1h` or `30d`, in seconds; never 0.
pub(crate) fn span(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    number(&text[..text.len() - 1])?.checked_mul(factor).filter(|seconds| *seconds > 0)
}

/// `10/1h`: so many in so many seconds.
pub(crate) fn rate(text: &str) -> Option<(u32, u64)> {
    let (count, per) = text.split_once('/')?;
    Some((u32::try_from(number(count)?).ok().filter(|count| *count > 0)?, span(per)?))
}

/// Digits alone; `u64::from_str` would take a `+` as well.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn spans_and_rates() {
        for (text, expected) in [("90s", 90), ("15m", 900), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(span(text), Some(expected));
        }
        for bad in
            ["", "s", "1", "0h", "+1h", "1w", "1 h", "1é", "99999999999999999999d", "9999999999999999999d"]
        {
            assert_eq!(span(bad), None, "{bad:?}");
        }
        assert_eq!(rate("10/1h"), Some((10, 3600)));
        for bad in ["10", "/1h", "10/", "0/1h", "+1/1h", "10/0s", "5000000000/1h"] {
            assert_eq!(rate(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn bounds_become_caveats_and_bad_ones_do_not() {
        let bounds = Bounds {
            expires_in: Some(Duration::from_secs(2)),
            calls: Some(3),
            rate: Some((1, 60)),
            bytes_a_day: Some(9),
            recipients: vec!["a@b.example".to_owned()],
            resources: [("folder".to_owned(), vec!["F1".to_owned(), "id:F2".to_owned()])].into(),
            paths: vec!["a/b".to_owned()],
            arguments: vec!["n.max=-3".to_owned(), "bcc.absent".to_owned(), "to.each-in=a, b".to_owned()],
            ..Bounds::default()
        };
        let caveats = bounds.caveats(vec!["gmail.get_message".to_owned()], 1000).unwrap();
        let kinds: Vec<caveat::Kind> = caveats.into_iter().filter_map(|caveat| caveat.kind).collect();
        assert_eq!(kinds.len(), 11);
        assert_eq!(kinds[1], caveat::Kind::ExpiresAtMs(3000));
        assert!(
            matches!(&kinds[6], caveat::Kind::Resource(resource) if resource.values == ["id:F1", "id:F2"])
        );
        for bad in [
            "",
            "n",
            "n.max",
            "n.max=x",
            "n.absent=1",
            "n.one-of=",
            "n.one-of=a,,b",
            "n.most=1",
            "n.max-length=-1",
        ] {
            assert!(matches!(argument(bad), Err(ClientError::Bounds(_))), "{bad:?}");
        }
    }
}
