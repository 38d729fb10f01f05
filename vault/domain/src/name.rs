//! Names that people choose: agents, adapters, services, accounts, tools. Each has one spelling only.

use std::fmt;
use std::str::FromStr;

/// The text is not a name of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {rule}")]
pub struct BadName {
    kind: &'static str,
    rule: &'static str,
}

const PLAIN: &str = "is 1 to 32 lower-case letters, digits or hyphens, and begins with a letter";

fn plain(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.ends_with('-')
}

fn account(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn snake(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err(BadName { kind: $kind, rule: $rule }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An agent, as the admin registered it.
    AgentName, "an agent's name", plain, PLAIN
);
name!(
    /// An adapter: one operating-system user that serves the tools of the service of the same name.
    AdapterName, "an adapter's name", plain, PLAIN
);
name!(
    /// A service of the catalog, such as `gmail`.
    ServiceId, "a service's id", plain, PLAIN
);
name!(
    /// Which account of a service a secret opens, the part after the slash: `me` in `gmail/me`.
    Account, "an account", account, "is 1 to 32 lower-case letters, digits or hyphens, and begins with a letter or digit"
);
name!(
    /// The part of a tool's name after the dot, or a step's or an argument's name: `send_message`.
    Ident, "an identifier", snake, "is 1 to 40 lower-case letters, digits or underscores, and begins with a letter"
);

/// A secret's name: service and account, `gmail/me`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName {
    service: ServiceId,
    account: Account,
}

impl SecretName {
    /// Which service it is for.
    #[must_use]
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// Which account of that service it opens.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl FromStr for SecretName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName { kind: "a secret's name", rule: "is SERVICE/ACCOUNT, such as gmail/me" };
        let (service, account) = text.split_once('/').ok_or(bad)?;
        Ok(Self { service: service.parse()?, account: account.parse()? })
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tool's full name: service and tool, `gmail.send_message`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolName {
    service: ServiceId,
    tool: Ident,
}

impl ToolName {
    /// From its two parts.
    #[must_use]
    pub fn new(service: ServiceId, tool: Ident) -> Self {
        Self { service, tool }
    }

    /// Which service it belongs to.
    #[must_use]
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// The part after the dot.
    #[must_use]
    pub fn tool(&self) -> &Ident {
        &self.tool
    }

    /// The name an MCP host sees: `service_tool` for a service's default secret, `service_account_tool` for others;
    /// only `[A-Za-z0-9_-]`, because many model interfaces take no other.
    ///
    /// Returns `None` where it would be longer than 64 characters; such a grant is refused when it is made.
    #[must_use]
    pub fn mcp_name(&self, account: Option<&Account>) -> Option<String> {
        let name = match account {
            None => format!("{}_{}", self.service, self.tool),
            Some(account) => format!("{}_{}_{}", self.service, account, self.tool),
        };
        (name.len() <= 64).then_some(name)
    }
}

impl FromStr for ToolName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName { kind: "a tool's name", rule: "is SERVICE.TOOL, such as gmail.send_message" };
        let (service, tool) = text.split_once('.').ok_or(bad)?;
        Ok(Self { service: service.parse()?, tool: tool.parse()? })
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.tool)
    }
}

impl fmt::Debug for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for good in ["a", "openclaw", "bot-2", "a23456789012345678901234567890bc"] {
            assert!(good.parse::<AgentName>().is_ok(), "{good:?} was refused");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "2a",
            "a b",
            "a_b",
            "a/b",
            "a.b",
            "..",
            "ä",
            "a\0",
            "a\n",
            "a%2f",
            "a23456789012345678901234567890bcd",
        ] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?} was taken");
        }
        for bad in ["gmail", "gmail/", "/me", "gmail/me/x", "gmail/..", "Gmail/me", "gmail/me "] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad:?} was taken");
        }
        for bad in ["gmail", "gmail.", ".x", "gmail.x.y", "gmail.X", "gmail/x"] {
            assert!(bad.parse::<ToolName>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn mcp_names_are_what_hosts_take() -> Result<(), BadName> {
        let tool: ToolName = "gmail.send_message".parse()?;
        let work: Account = "work".parse()?;
        assert_eq!(tool.mcp_name(None).as_deref(), Some("gmail_send_message"));
        assert_eq!(tool.mcp_name(Some(&work)).as_deref(), Some("gmail_work_send_message"));
        let long: ToolName = format!("{}.{}", "s".repeat(32), "t".repeat(40)).parse()?;
        assert_eq!(long.mcp_name(None), None);
        Ok(())
    }
}
