//! MCP servers that many people use, and which tools of theirs do the same as one of ours.
//!
//! Names as the servers' own sources have them: @gongrzhe/server-gmail-autoauth-mcp 1.1.11, @cocal/google-calendar-mcp
//! 2.6.3, @modelcontextprotocol/server-gdrive 2025.1.14, workspace-mcp 2.2.1, @modelcontextprotocol/server-github
//! 2025.4.8. A tool that does more than ours, or something else, stands here without one, with the reason.

use super::found::shown;

/// A known server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The package.
    pub(super) package: &'static str,
    /// Where its credential is.
    pub(super) credential: Credential,
    /// The services its credential is for.
    pub(super) services: &'static [&'static str],
    /// Its tools: each with ours, or why there is none.
    pub(super) tools: &'static [(&'static str, Result<&'static str, &'static str>)],
}

/// Where a server has its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// An OAuth client in one file, a token in another: by these variables, else in the home.
    Google {
        /// The variable that names the client's file, and where it is otherwise.
        client: (&'static str, Option<&'static str>),
        /// The same of the token's.
        token: (&'static str, Option<&'static str>),
    },
    /// Files of workspace-mcp, one for each account, with client and token.
    Workspace,
    /// In one of these variables.
    Variable(&'static [&'static str]),
}

const NO_TOOL: &str = "there is no such tool here";
const FOR_GOOD: &str = "it deletes for good; gmail.trash_message moves a mail to the trash";
const FILTERS: &str = "filters are not changed here";
const LABELS: &str = "labels themselves are not changed here";

/// All of them.
pub(super) const ALL: &[Known] = &[
    Known {
        package: "@gongrzhe/server-gmail-autoauth-mcp",
        credential: Credential::Google {
            client: ("GMAIL_OAUTH_PATH", Some(".gmail-mcp/gcp-oauth.keys.json")),
            token: ("GMAIL_CREDENTIALS_PATH", Some(".gmail-mcp/credentials.json")),
        },
        services: &["gmail"],
        tools: &[
            ("send_email", Ok("gmail.send_message")),
            ("draft_email", Ok("gmail.create_draft")),
            ("read_email", Ok("gmail.get_message")),
            ("search_emails", Ok("gmail.search_messages")),
            ("modify_email", Ok("gmail.label_message")),
            ("delete_email", Err(FOR_GOOD)),
            ("list_email_labels", Ok("gmail.list_labels")),
            ("batch_modify_emails", Ok("gmail.label_messages")),
            ("batch_delete_emails", Err(FOR_GOOD)),
            ("create_label", Err(LABELS)),
            ("update_label", Err(LABELS)),
            ("delete_label", Err(LABELS)),
            ("get_or_create_label", Err(LABELS)),
            ("create_filter", Err(FILTERS)),
            ("list_filters", Err(NO_TOOL)),
            ("get_filter", Err(NO_TOOL)),
            ("delete_filter", Err(FILTERS)),
            ("create_filter_from_template", Err(FILTERS)),
            ("download_attachment", Ok("gmail.download_attachment")),
        ],
    },
    Known {
        package: "@cocal/google-calendar-mcp",
        credential: Credential::Google {
            client: ("GOOGLE_OAUTH_CREDENTIALS", None),
            token: ("GOOGLE_CALENDAR_MCP_TOKEN_PATH", Some(".config/google-calendar-mcp/tokens.json")),
        },
        services: &["calendar"],
        tools: &[
            ("list-calendars", Ok("calendar.list_calendars")),
            ("list-events", Ok("calendar.list_events")),
            ("search-events", Ok("calendar.search_events")),
            ("get-event", Ok("calendar.get_event")),
            ("list-colors", Err(NO_TOOL)),
            ("create-event", Ok("calendar.create_event")),
            ("create-events", Err("it makes many at once; calendar.create_event makes one")),
            ("update-event", Ok("calendar.update_event")),
            ("delete-event", Ok("calendar.delete_event")),
            ("get-freebusy", Ok("calendar.free_busy")),
            ("get-current-time", Err(NO_TOOL)),
            ("respond-to-event", Ok("calendar.respond_to_event")),
            ("manage-accounts", Err("accounts are the admin's: `claviger connect`")),
        ],
    },
    Known {
        package: "@modelcontextprotocol/server-gdrive",
        credential: Credential::Google {
            client: ("GDRIVE_OAUTH_PATH", None),
            token: ("GDRIVE_CREDENTIALS_PATH", None),
        },
        services: &["drive"],
        tools: &[("search", Ok("drive.search_files"))],
    },
    Known {
        package: "workspace-mcp",
        credential: Credential::Workspace,
        services: &["gmail", "drive", "calendar"],
        tools: &[
            ("search_gmail_messages", Ok("gmail.search_messages")),
            ("get_gmail_message_content", Ok("gmail.get_message")),
            ("get_gmail_messages_content_batch", Err("it reads many at once; gmail.get_message reads one")),
            ("get_gmail_attachment_content", Ok("gmail.get_attachment")),
            ("send_gmail_message", Ok("gmail.send_message")),
            ("draft_gmail_message", Ok("gmail.create_draft")),
            ("get_gmail_thread_content", Ok("gmail.get_thread")),
            ("get_gmail_threads_content_batch", Err("it reads many at once; gmail.get_thread reads one")),
            ("list_gmail_labels", Ok("gmail.list_labels")),
            ("manage_gmail_label", Err(LABELS)),
            ("list_gmail_filters", Err(NO_TOOL)),
            ("manage_gmail_filter", Err(FILTERS)),
            ("modify_gmail_message_labels", Ok("gmail.label_message")),
            ("batch_modify_gmail_message_labels", Ok("gmail.label_messages")),
            ("search_drive_files", Ok("drive.search_files")),
            ("get_drive_file_content", Ok("drive.read_file")),
            ("get_drive_file_download_url", Err("links that need no sign-in stay in the vault")),
            ("list_drive_items", Ok("drive.list_folder")),
            ("create_drive_folder", Ok("drive.create_folder")),
            ("create_drive_file", Ok("drive.create_file")),
            ("get_drive_file_permissions", Ok("drive.list_permissions")),
            (
                "update_drive_file",
                Err("it renames, moves, bins and shares; those are tools of their own here"),
            ),
            ("get_drive_shareable_link", Err(NO_TOOL)),
            ("copy_drive_file", Ok("drive.copy_file")),
            ("list_calendars", Ok("calendar.list_calendars")),
            ("get_events", Ok("calendar.list_events")),
            ("manage_event", Err("it makes, changes and deletes; those are tools of their own here")),
            ("query_freebusy", Ok("calendar.free_busy")),
        ],
    },
    Known {
        package: "@modelcontextprotocol/server-github",
        credential: Credential::Variable(&["GITHUB_PERSONAL_ACCESS_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"]),
        services: &["github"],
        tools: &[
            ("create_or_update_file", Ok("github.create_or_update_file")),
            ("search_repositories", Err(NO_TOOL)),
            ("create_repository", Err(NO_TOOL)),
            ("get_file_contents", Ok("github.get_file_contents")),
            ("push_files", Err("it writes many at once; github.create_or_update_file writes one")),
            ("create_issue", Ok("github.create_issue")),
            ("create_pull_request", Ok("github.create_pull_request")),
            ("fork_repository", Err(NO_TOOL)),
            ("create_branch", Ok("github.create_branch")),
            ("list_commits", Ok("github.list_commits")),
            ("list_issues", Ok("github.list_issues")),
            ("update_issue", Ok("github.update_issue")),
            ("add_issue_comment", Ok("github.add_issue_comment")),
            ("search_code", Err(NO_TOOL)),
            ("search_issues", Err(NO_TOOL)),
            ("search_users", Err(NO_TOOL)),
            ("get_issue", Ok("github.get_issue")),
            ("get_pull_request", Ok("github.get_pull_request")),
            ("list_pull_requests", Ok("github.list_pull_requests")),
            ("create_pull_request_review", Ok("github.create_pull_request_review")),
            ("merge_pull_request", Ok("github.merge_pull_request")),
            ("get_pull_request_files", Ok("github.get_pull_request_files")),
            ("get_pull_request_status", Err(NO_TOOL)),
            ("update_pull_request_branch", Err(NO_TOOL)),
            ("get_pull_request_comments", Ok("github.get_pull_request_comments")),
            ("get_pull_request_reviews", Ok("github.get_pull_request_reviews")),
        ],
    },
];

/// The server that a command line starts, if it is a known one.
///
/// `@scope/name`, `@scope/name@version`, `name==version`, and a path with `node_modules/@scope/name/` in it are the
/// package `@scope/name`; nothing that is merely alike is.
pub(super) fn of_command<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Option<&'static Known> {
    ALL.iter().find(|known| words.clone().any(|word| is_package(word, known.package)))
}

fn is_package(word: &str, package: &str) -> bool {
    if let Some(rest) = word.strip_prefix(package) {
        let version = rest.strip_prefix('@').or_else(|| rest.strip_prefix("=="));
        return rest.is_empty() || version.is_some_and(|version| !version.contains('/'));
    }
    // A path to an installed package, or to the program of that name.
    let inside = format!("/node_modules/{package}/");
    word.contains(&inside) || !package.contains('/') && word.ends_with(&format!("/bin/{package}"))
}

/// The known server whose tools these are: the only one that has all of them.
pub(super) fn of_tools<'a>(tools: impl Iterator<Item = &'a str> + Clone) -> Option<&'static Known> {
    let has = |known: &&Known| tools.clone().all(|tool| known.tool(tool).is_some());
    let mut fitting = ALL.iter().filter(has);
    let found = fitting.next()?;
    (tools.clone().next().is_some() && fitting.next().is_none()).then_some(found)
}

impl Known {
    /// What a tool of it is here; `None` for one that is not known.
    pub(super) fn tool(&self, name: &str) -> Option<Result<&'static str, &'static str>> {
        self.tools.iter().find(|(own, _)| *own == name).map(|(_, ours)| *ours)
    }

    /// As [`Known::tool`], in words for one that is not known.
    pub(super) fn ours(&self, name: &str) -> Result<&'static str, String> {
        match self.tool(name) {
            Some(Ok(ours)) => Ok(ours),
            Some(Err(why)) => Err(why.to_owned()),
            None => Err(format!("{} has no tool of that name that is known here", shown(self.package))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_known_by_their_whole_name() {
        let check = |words: &[&str], expected: Option<&str>| {
            let found = of_command(words.iter().copied());
            assert_eq!(found.map(|known| known.package), expected, "{words:?}");
        };
        let gmail = Some("@gongrzhe/server-gmail-autoauth-mcp");
        check(&["npx", "-y", "@gongrzhe/server-gmail-autoauth-mcp"], gmail);
        check(&["npx", "@gongrzhe/server-gmail-autoauth-mcp@1.1.11"], gmail);
        check(&["node", "/usr/lib/node_modules/@gongrzhe/server-gmail-autoauth-mcp/dist/index.js"], gmail);
        check(&["uvx", "workspace-mcp==2.2.1"], Some("workspace-mcp"));
        check(&["/home/me/.local/bin/workspace-mcp"], Some("workspace-mcp"));
        check(&["npx", "@gongrzhe/server-gmail-autoauth-mcp-evil"], None);
        check(&["npx", "@gongrzhe/server-gmail-autoauth-mcp@/evil"], None);
        check(&["npx", "evil/@gongrzhe/server-gmail-autoauth-mcp"], None);
        check(&["my-workspace-mcp"], None);
        check(&[], None);
    }

    #[test]
    fn tools_tell_their_server_only_where_one_has_them_all() {
        let check = |tools: &[&str], expected: Option<&str>| {
            assert_eq!(of_tools(tools.iter().copied()).map(|known| known.package), expected, "{tools:?}");
        };
        check(&["search_emails", "send_email"], Some("@gongrzhe/server-gmail-autoauth-mcp"));
        check(&["list-events"], Some("@cocal/google-calendar-mcp"));
        check(&["search_emails", "list-events"], None);
        check(&["read_list"], None);
        check(&[], None);
    }

    #[test]
    fn what_a_tool_becomes_is_in_the_catalog_that_comes_with_the_vault() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
        let mut seen = 0;
        for ours in ALL.iter().flat_map(|known| known.tools).filter_map(|(_, ours)| ours.ok()) {
            let (service, tool) = ours.split_once('.').unwrap_or_default();
            // A service that an owner may have by a file of their own.
            let Ok(file) = std::fs::read_to_string(folder.join(format!("{service}.toml"))) else { continue };
            assert!(file.contains(&format!("\n[tool.{tool}]\n")), "{ours}");
            seen += 1;
        }
        assert!(seen > 25, "the catalog is read");
    }

    #[test]
    fn what_a_tool_becomes_is_a_tool_of_a_service_of_that_server() {
        for known in ALL {
            for (name, ours) in known.tools {
                let service =
                    ours.map(|ours| ours.split_once('.').map(|(service, _)| service).unwrap_or_default());
                assert!(
                    service.is_err() || service.is_ok_and(|service| known.services.contains(&service)),
                    "{name}"
                );
            }
        }
    }
}
