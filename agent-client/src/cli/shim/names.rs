//! `server.tool`, and which granted tool that is. The server is a service, such as `gmail`; for a secret that is not its
//! service's default it is service and account, such as `gmail_work`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::grants::{Grants, Tool};

/// The most bytes of a name that is looked for. A tool's name has 64 at most, and a dot has come into it.
const LONGEST: usize = 65;

/// A tool, as `mcp` names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Selector {
    server: String,
    tool: String,
}

impl Selector {
    /// The name that this text is, letter by letter: a server, one dot, a tool.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (server, tool) = text.split_once('.')?;
        let fits = text.len() <= LONGEST && is_part(server) && is_part(tool);
        fits.then(|| Self { server: server.to_owned(), tool: tool.to_owned() })
    }

    /// What a granted tool that uses this secret is called here. Nothing if its two names do not agree: then it has no
    /// name that could be told from another's.
    fn of(tool: &Tool, secret: &str) -> Option<Self> {
        let (service, own) = tool.name.as_str().split_once('.')?;
        let (_, account) = secret.split_once('/')?;
        let server = if tool.mcp_name == format!("{service}_{own}") {
            service.to_owned()
        } else if tool.mcp_name == format!("{service}_{account}_{own}") {
            format!("{service}_{account}")
        } else {
            return None;
        };
        Self::parse(&format!("{server}.{own}"))
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn tool(&self) -> &str {
        &self.tool
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.server, self.tool)
    }
}

/// The only letters there are in names, so that none has a second spelling.
fn is_part(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

/// What a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Below {
    All,
    Server(String),
    Tool(Selector),
}

impl Below {
    /// `SERVER` or `SERVER.TOOL`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.contains('.') {
            true => Selector::parse(text).map(Self::Tool),
            false => (is_part(text) && text.len() <= LONGEST).then(|| Self::Server(text.to_owned())),
        }
    }

    pub(super) fn is_all(&self) -> bool {
        *self == Self::All
    }

    fn has(&self, selector: &Selector) -> bool {
        match self {
            Self::All => true,
            Self::Server(server) => selector.server == *server,
            Self::Tool(tool) => selector == tool,
        }
    }
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Server(server) => f.write_str(server),
            Self::Tool(selector) => selector.fmt(f),
        }
    }
}

/// A granted tool under its name here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) selector: &'a Selector,
    pub(super) tool: &'a Tool,
}

impl Named<'_> {
    /// The names that a mistyped one may have meant: the server, and the tool.
    pub(super) fn both(self) -> [String; 2] {
        [self.selector.server.clone(), self.selector.to_string()]
    }
}

/// The granted tools by their names here.
pub(super) struct Names<'a> {
    tools: BTreeMap<Selector, &'a Arc<Tool>>,
    /// How many granted tools have none.
    pub(super) unnamed: usize,
}

impl<'a> Names<'a> {
    /// Made from the tools, never from what was typed: `x.a_b` and `x_a.b` would both come to `x_a_b`, and only the one
    /// that is granted is here.
    pub(super) fn of(grants: &'a Grants) -> Self {
        let mut names = Self { tools: BTreeMap::new(), unnamed: 0 };
        for tool in grants.tools() {
            let secret = grants.tool(&tool.mcp_name).map(|(_, handle)| handle.secret()).unwrap_or_default();
            match Selector::of(tool, secret) {
                Some(selector) => {
                    names.tools.insert(selector, tool);
                }
                None => names.unnamed += 1,
            }
        }
        names
    }

    /// The tool of exactly that name.
    pub(super) fn tool(&self, selector: &Selector) -> Option<&'a Arc<Tool>> {
        self.tools.get(selector).copied()
    }

    /// All, by server and tool.
    pub(super) fn iter(&self) -> impl Iterator<Item = Named<'_>> {
        self.tools.iter().map(|(selector, tool)| Named { selector, tool })
    }

    /// Those that are wanted.
    pub(super) fn under(&self, below: &Below) -> Vec<Named<'_>> {
        self.iter().filter(|named| below.has(named.selector)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use claviger_proto::v1;
    use proptest::prelude::*;

    /// What the vault opens: for each tool its full name, the name that hosts see, and the secret.
    fn grants(tools: &[(&str, &str, &str)]) -> Grants {
        let handles = tools.iter().enumerate().map(|(index, (name, mcp_name, secret))| v1::OpenHandle {
            id: format!("hdl_{index:032x}"),
            secret: (*secret).to_owned(),
            proof_key: vec![3; 32],
            tools: vec![v1::Tool {
                name: (*name).to_owned(),
                mcp_name: (*mcp_name).to_owned(),
                input_schema: b"{}".to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        });
        Grants::read(v1::OpenResponse {
            agent: "openclaw".to_owned(),
            boot: vec![1; 16],
            replica: vec![2; 8],
            handles: handles.collect(),
            ..Default::default()
        })
        .unwrap()
    }

    fn called(grants: &Grants, text: &str) -> Option<String> {
        let selector = Selector::parse(text)?;
        Names::of(grants).tool(&selector).map(|tool| tool.mcp_name.clone())
    }

    #[test]
    fn services_and_accounts_are_servers() {
        let grants = grants(&[
            ("gmail.get_message", "gmail_get_message", "gmail/me"),
            ("gmail.get_message", "gmail_work_get_message", "gmail/work"),
            ("my-notes.read", "my-notes_2-b_read", "my-notes/2-b"),
        ]);
        let names: Vec<String> = Names::of(&grants).iter().map(|named| named.selector.to_string()).collect();
        assert_eq!(names, ["gmail.get_message", "gmail_work.get_message", "my-notes_2-b.read"]);
        assert_eq!(called(&grants, "gmail.get_message").as_deref(), Some("gmail_get_message"));
        assert_eq!(called(&grants, "gmail_work.get_message").as_deref(), Some("gmail_work_get_message"));
        for not in ["gmail.work_get_message", "gmail_me.get_message", "gmail_get.message", "work.get_message"]
        {
            assert_eq!(called(&grants, not), None, "{not}");
        }
    }

    /// Both would be called `x_a_b`; each is only what is granted.
    #[test]
    fn what_comes_to_one_name_is_not_taken_for_the_other() {
        let tool = grants(&[("x.a_b", "x_a_b", "x/me")]);
        assert_eq!((called(&tool, "x.a_b").is_some(), called(&tool, "x_a.b").is_some()), (true, false));
        let account = grants(&[("x.b", "x_a_b", "x/a")]);
        assert_eq!((called(&account, "x.a_b").is_some(), called(&account, "x_a.b").is_some()), (false, true));
    }

    #[test]
    fn names_that_do_not_agree_are_none() {
        let grants = grants(&[
            ("gmail.send", "drive_read", "gmail/me"),
            ("gmail.send", "gmail_other_send", "gmail/work"),
            ("gmail.a.b", "gmail_a_b", "gmail/me"),
            ("plain", "plain", "plain/me"),
            ("ok.tool", "ok_tool", "ok/me"),
        ]);
        let names = Names::of(&grants);
        assert_eq!((names.unnamed, names.iter().count()), (4, 1));
    }

    #[test]
    fn what_is_no_name() {
        for text in [
            "",
            ".",
            "a.",
            ".b",
            "ab",
            "a.b.c",
            "a..b",
            "A.b",
            "a.B",
            "a.b ",
            " a.b",
            "a .b",
            "a.b\n",
            "a.b\0",
            "a/b.c",
            "a.b(c)",
            "a.b:1",
            "a.b=1",
            "https://h/mcp.tool",
            "./a.b",
            "~/a.b",
            "a.b\u{200b}",
            "\u{430}.b",
            "a\u{2024}b",
            "a\u{ff0e}b",
            "a.b\u{301}",
            "ﬁ.b",
            "a%2eb",
            "a*.b",
            "@a.b",
            "-a,.b",
            "a.b;c",
            "a.b'",
            "a.\"b\"",
        ] {
            assert_eq!(Selector::parse(text), None, "{text:?}");
        }
        assert!(Selector::parse(&format!("a.{}", "b".repeat(63))).is_some());
        assert!(Selector::parse(&format!("a.{}", "b".repeat(64))).is_none());
        assert_eq!(Below::parse("gmail"), Some(Below::Server("gmail".to_owned())));
        assert!(matches!(Below::parse("gmail.x"), Some(Below::Tool(_))));
        for text in ["", "Gmail", "gmail.", ".x", "a.b.c", "gmail ", "https://h", &"a".repeat(66)] {
            assert_eq!(Below::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        /// A name is itself: what is read is written the same, and so no two texts are one name.
        #[test]
        fn no_name_has_a_second_spelling(text in "[a-c_.-]{0,8}|\\PC{0,8}") {
            if let Some(selector) = Selector::parse(&text) {
                prop_assert_eq!(selector.to_string(), text);
            }
        }

        /// Whatever is granted, each name calls the one tool that has it, and every tool is called by one name.
        #[test]
        fn names_and_tools_are_one_to_one(
            made in prop::collection::vec(("[a-b]{1,2}", prop::option::of("[a-b]{1,2}"), "[a-b](_?[a-b]){0,2}"), 1..8),
            typed in "[a-b_]{1,5}\\.[a-b_]{1,5}",
        ) {
            let tools: Vec<(String, String, String)> = made
                .into_iter()
                .map(|(service, account, tool)| {
                    let part = account.as_ref().map(|account| format!("{account}_")).unwrap_or_default();
                    let secret = format!("{service}/{}", account.as_deref().unwrap_or("default"));
                    (format!("{service}.{tool}"), format!("{service}_{part}{tool}"), secret)
                })
                .collect();
            let tools: Vec<_> = tools.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
            let grants = grants(&tools);
            let names = Names::of(&grants);
            prop_assert_eq!(names.unnamed, 0);
            prop_assert_eq!(names.iter().count(), grants.tools().count());
            for named in names.iter() {
                let text = named.selector.to_string();
                prop_assert_eq!(called(&grants, &text), Some(named.tool.mcp_name.clone()));
            }
            let known = names.iter().any(|named| named.selector.to_string() == typed);
            prop_assert_eq!(called(&grants, &typed).is_some(), known);
        }
    }
}
