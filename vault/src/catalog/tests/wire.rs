//! What goes over the wire for each built-in tool, in full: a change of it must be seen.

use std::collections::BTreeMap;

use claviger_canonical::Canonical;
use claviger_domain::arg::Arguments;
use claviger_domain::name::Ident;
use claviger_domain::render::{Filling, Request, render};
use claviger_domain::step::Step;
use serde_json::{Value, json};

use super::built_in;

pub(super) fn ident(text: &str) -> Ident {
    text.parse().unwrap()
}

pub(super) fn params(pairs: &[(&str, &str)]) -> BTreeMap<Ident, String> {
    pairs.iter().map(|(name, value)| (ident(name), (*value).to_owned())).collect()
}

pub(super) fn rendered(
    step: &Step,
    args: &Arguments,
    params: &BTreeMap<Ident, String>,
    page: Option<&str>,
) -> Request {
    render(step, Filling { args, params, page_token: page }).expect("it renders")
}

/// A step, the parameters and the page token it gets, and what is sent: method and address, then the body's type and
/// the body, each on its own line.
pub(super) type Sent<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>, &'a str);

pub(super) fn check(tool: &str, given: Value, steps: &[Sent<'_>]) {
    let catalog = built_in();
    let tool = catalog.tool(&tool.parse().unwrap()).unwrap();
    let args = Arguments::parse(&tool.args, Canonical::from_json(&given).unwrap().value()).unwrap();
    let names: Vec<&str> = tool.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, steps.iter().map(|step| step.0).collect::<Vec<_>>(), "{}", tool.name);
    for (name, pairs, page, expected) in steps {
        let request = rendered(tool.step(name).unwrap(), &args, &params(pairs), *page);
        let mut text = format!("{} {}", request.method.as_str(), request.path_and_query);
        if let Some(kind) = request.content_type {
            text.push_str(&format!("\n{kind}\n{}", String::from_utf8(request.body).unwrap()));
        }
        assert_eq!(text.replace("\r\n", "\n"), *expected, "{}, step {name}", tool.name);
    }
}

#[test]
fn gmail_reads() {
    check(
        "gmail.search_messages",
        json!({
            "from": "ann@example.org", "to": "me", "subject": "Q3 plan", "words": "OR -in:anywhere",
            "after": "2026-01-02", "before": "2026-02-01", "has_attachment": true, "unread": false,
            "max_results": 5, "page": "page_0123456789abcdef", "cc": "cy", "filename": "a.pdf",
        }),
        &[
            (
                "list",
                &[("label", "Label_7")],
                Some("tok/en="),
                "GET /gmail/v1/users/me/messages?labelIds=Label_7&maxResults=5&q=from%3A%22ann%40example.org%22%20to%3A%22me%22\
                 %20cc%3A%22cy%22%20subject%3A%22Q3%22%20subject%3A%22plan%22%20%22OR%22%20%22-in%3Aanywhere%22%20filename%3A%22a.pdf%22%20after%3A2026%2F01%2F02%20\
                 before%3A2026%2F02%2F01%20has%3Aattachment%20-is%3Aunread&pageToken=tok%2Fen%3D",
            ),
            (
                "summary",
                &[("message_id", "18c2f")],
                None,
                "GET /gmail/v1/users/me/messages/18c2f?format=metadata&metadataHeaders=From&metadataHeaders=To\
                 &metadataHeaders=Cc&metadataHeaders=Subject&metadataHeaders=Date&metadataHeaders=Authentication-Results",
            ),
        ],
    );
    // Nothing asked for, nothing bounded: no empty filter, only the default.
    check(
        "gmail.search_messages",
        json!({}),
        &[
            ("list", &[], None, "GET /gmail/v1/users/me/messages?maxResults=10"),
            (
                "summary",
                &[("message_id", "a")],
                None,
                "GET /gmail/v1/users/me/messages/a?format=metadata&metadataHeaders=From&metadataHeaders=To\
                 &metadataHeaders=Cc&metadataHeaders=Subject&metadataHeaders=Date&metadataHeaders=Authentication-Results",
            ),
        ],
    );
    check(
        "gmail.get_message",
        json!({ "message_id": "18c2f" }),
        &[("get", &[], None, "GET /gmail/v1/users/me/messages/18c2f?format=full")],
    );
    check(
        "gmail.get_thread",
        json!({ "thread_id": "18c2e" }),
        &[
            (
                "thread",
                &[],
                None,
                "GET /gmail/v1/users/me/threads/18c2e?fields=id%2Cmessages%28id%2ClabelIds%2CinternalDate%2Cpayload%2Fheaders%29\
                 &format=metadata&metadataHeaders=From&metadataHeaders=Authentication-Results",
            ),
            (
                "message",
                &[("message_id", "18c2f")],
                None,
                "GET /gmail/v1/users/me/messages/18c2f?format=full",
            ),
        ],
    );
    check(
        "gmail.get_attachment",
        json!({ "message_id": "18c2f", "part": "1" }),
        &[
            ("message", &[], None, "GET /gmail/v1/users/me/messages/18c2f?format=full"),
            (
                "attachment",
                &[("attachment_id", "ANGjdJ-x")],
                None,
                "GET /gmail/v1/users/me/messages/18c2f/attachments/ANGjdJ-x",
            ),
        ],
    );
    check(
        "gmail.list_drafts",
        json!({ "max_results": 3, "page": "page_0123456789abcdef" }),
        &[
            ("list", &[], Some("t"), "GET /gmail/v1/users/me/drafts?maxResults=3&pageToken=t"),
            ("summary", &[("draft_id", "r-1")], None, "GET /gmail/v1/users/me/drafts/r-1?format=metadata"),
        ],
    );
    check(
        "gmail.get_draft",
        json!({ "draft_id": "r-1" }),
        &[("get", &[], None, "GET /gmail/v1/users/me/drafts/r-1?format=full")],
    );
    check("gmail.list_labels", json!({}), &[("list", &[], None, "GET /gmail/v1/users/me/labels")]);
}

#[test]
fn gmail_acts() {
    check(
        "gmail.label_message",
        json!({ "message_id": "18c2f", "add": ["Label_7", "STARRED"], "remove": ["UNREAD"] }),
        &[(
            "modify",
            &[],
            None,
            "POST /gmail/v1/users/me/messages/18c2f/modify\napplication/json\n\
             {\"addLabelIds\":[\"Label_7\",\"STARRED\"],\"removeLabelIds\":[\"UNREAD\"]}",
        )],
    );
    let mail = "MIME-Version: 1.0\r\n\
                To: Ann@example.org, bo@example.org\r\n\
                Cc: cy@example.org\r\n\
                Bcc: di@example.org\r\n\
                Reply-To: me@example.org\r\n\
                Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n\
                Content-Type: text/plain; charset=utf-8\r\n\
                Content-Transfer-Encoding: base64\r\n\r\n\
                SGVsbG8NCndvcmxkIPCfkYs=\r\n";
    let raw = claviger_domain::codec::base64url::encode(mail.as_bytes());
    check(
        "gmail.send_message",
        json!({
            "to": ["Ann@Example.org", "bo@example.org"], "cc": ["cy@example.org"], "bcc": ["di@example.org"],
            "reply_to": ["me@example.org"], "subject": "Grüße", "body": "Hello\nworld 👋",
        }),
        &[(
            "send",
            &[],
            None,
            &format!("POST /gmail/v1/users/me/messages/send\napplication/json\n{{\"raw\":\"{raw}\"}}"),
        )],
    );
}

/// Several mails at once, the trash, and the end of a draft.
#[test]
fn gmail_changes() {
    const BATCH: &str = "POST /gmail/v1/users/me/messages/batchModify\napplication/json\n";
    let ids = json!({ "message_ids": ["a", "b"] });
    for (tool, given, sent) in [
        (
            "label_messages",
            json!({ "message_ids": ["a", "b"], "add": ["Label_7"], "remove": ["INBOX"] }),
            format!(
                "{BATCH}{{\"addLabelIds\":[\"Label_7\"],\"ids\":[\"a\",\"b\"],\"removeLabelIds\":[\"INBOX\"]}}"
            ),
        ),
        (
            "mark_read",
            ids.clone(),
            format!("{BATCH}{{\"ids\":[\"a\",\"b\"],\"removeLabelIds\":[\"UNREAD\"]}}"),
        ),
        ("mark_unread", ids, format!("{BATCH}{{\"addLabelIds\":[\"UNREAD\"],\"ids\":[\"a\",\"b\"]}}")),
    ] {
        check(&format!("gmail.{tool}"), given, &[("modify", &[], None, &sent)]);
    }
    for (tool, step) in [("trash_message", "trash"), ("untrash_message", "untrash")] {
        let sent = format!("POST /gmail/v1/users/me/messages/18c2f/{step}");
        check(&format!("gmail.{tool}"), json!({ "message_id": "18c2f" }), &[(step, &[], None, &sent)]);
    }
    let sent = "DELETE /gmail/v1/users/me/drafts/r-1";
    check("gmail.delete_draft", json!({ "draft_id": "r-1" }), &[("delete", &[], None, sent)]);
}

#[test]
fn gmail_drafts() {
    let mail = "MIME-Version: 1.0\r\nTo: a@example.org\r\nSubject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\
                Content-Transfer-Encoding: base64\r\n\r\naGk=\r\n";
    let raw = claviger_domain::codec::base64url::encode(mail.as_bytes());
    check(
        "gmail.create_draft",
        json!({ "to": ["a@example.org"], "subject": "s", "body": "hi" }),
        &[(
            "create",
            &[],
            None,
            &format!(
                "POST /gmail/v1/users/me/drafts\napplication/json\n{{\"message\":{{\"raw\":\"{raw}\"}}}}"
            ),
        )],
    );
    // Nobody yet: a draft may be without recipients, and keeps what it answers.
    let mail = mail.replace("To: a@example.org\r\n", "").replace(
        "Subject: s\r\n",
        "Subject: s\r\nIn-Reply-To: <2@x.example>\r\nReferences: <1@x.example>\r\n <2@x.example>\r\n",
    );
    let raw = claviger_domain::codec::base64url::encode(mail.as_bytes());
    let kept =
        [("thread", "18c2e"), ("answered", "<2@x.example>"), ("references", "<1@x.example> <2@x.example>")];
    check(
        "gmail.update_draft",
        json!({ "draft_id": "r-1", "subject": "s", "body": "hi" }),
        &[(
            "update",
            &kept,
            None,
            &format!(
                "PUT /gmail/v1/users/me/drafts/r-1\napplication/json\n\
                 {{\"message\":{{\"raw\":\"{raw}\",\"threadId\":\"18c2e\"}}}}"
            ),
        )],
    );
    check(
        "gmail.send_draft",
        json!({ "draft_id": "r-1" }),
        &[(
            "send",
            &[("raw", "VG86"), ("thread", "18c2e")],
            None,
            "POST /gmail/v1/users/me/drafts/send\napplication/json\n\
             {\"id\":\"r-1\",\"message\":{\"raw\":\"VG86\",\"threadId\":\"18c2e\"}}",
        )],
    );
}

#[test]
fn drive_reads() {
    const LIST: &str = "fields=nextPageToken%2Cfiles%28id%2Cname%2CmimeType%2Csize%2CmodifiedTime%2Cparents%2Cshared\
                        %2CdriveId%2Cowners%28emailAddress%29%2Cpermissions%28type%2Crole%2CemailAddress%29\
                        %2ClastModifyingUser%28emailAddress%29%29\
                        &includeItemsFromAllDrives=true";
    check(
        "drive.search_files",
        json!({
            "name": "it's", "text": "plan b", "mime_type": "text/plain", "modified_after": "2026-01-02",
            "max_results": 3, "page": "page_0123456789abcdef",
        }),
        &[(
            "list",
            &[("folder", "F_1")],
            Some("next"),
            &format!(
                "GET /drive/v3/files?{LIST}&pageSize=3&q=%27F_1%27%20in%20parents%20and%20name%20contains%20%27it%5C%27s%27\
                 %20and%20fullText%20contains%20%27%22plan%20b%22%27%20and%20mimeType%20%3D%20%27text%2Fplain%27%20and%20\
                 modifiedTime%20%3E%3D%20%272026-01-02T00%3A00%3A00Z%27%20and%20trashed%20%3D%20false&supportsAllDrives=true\
                 &pageToken=next"
            ),
        )],
    );
    check(
        "drive.list_folder",
        json!({ "folder_id": "F_1", "max_results": 3 }),
        &[(
            "list",
            &[],
            None,
            &format!(
                "GET /drive/v3/files?{LIST}&pageSize=3&q=%27F_1%27%20in%20parents%20and%20trashed%20%3D%20false&supportsAllDrives=true"
            ),
        )],
    );
    check(
        "drive.get_file_metadata",
        json!({ "file_id": "f-1" }),
        &[(
            "get",
            &[],
            None,
            "GET /drive/v3/files/f-1?fields=id%2Cname%2CmimeType%2Csize%2CcreatedTime%2CmodifiedTime%2Cparents%2Cshared\
             %2CdriveId%2Cowners%28emailAddress%29%2Cdescription%2CwebViewLink%2C\
             permissions%28type%2Crole%2CemailAddress%29%2ClastModifyingUser%28emailAddress%29&supportsAllDrives=true",
        )],
    );
    check(
        "drive.read_file",
        json!({ "file_id": "f-1" }),
        &[
            (
                "metadata",
                &[],
                None,
                "GET /drive/v3/files/f-1?fields=id%2Cname%2CmimeType%2Csize%2CmodifiedTime%2Cparents%2Cshared%2C\
                 owners%28emailAddress%29%2Cpermissions%28type%2Crole%2CemailAddress%29%2ClastModifyingUser%28emailAddress%29\
                 &supportsAllDrives=true",
            ),
            ("content", &[], None, "GET /drive/v3/files/f-1?alt=media&supportsAllDrives=true"),
            ("export_text", &[], None, "GET /drive/v3/files/f-1/export?mimeType=text%2Fplain"),
            ("export_markdown", &[], None, "GET /drive/v3/files/f-1/export?mimeType=text%2Fmarkdown"),
            ("export_csv", &[], None, "GET /drive/v3/files/f-1/export?mimeType=text%2Fcsv"),
        ],
    );
    check(
        "drive.list_permissions",
        json!({ "file_id": "f-1" }),
        &[(
            "list",
            &[],
            None,
            "GET /drive/v3/files/f-1/permissions?fields=nextPageToken%2Cpermissions%28id%2Ctype%2Crole%2CemailAddress%2C\
             domain%2CdisplayName%29&pageSize=100&supportsAllDrives=true",
        )],
    );
}

#[test]
fn drive_acts() {
    // It comes from the parts by a hash, so it is the same as long as they are.
    let boundary = "claviger-c6774421dd7687dd48a1d07a9a9b0b9ed68169a9f65c4bbf";
    const MADE: &str = "id%2Cname%2CmimeType%2Csize%2CmodifiedTime%2Cparents%2Cshared%2CwebViewLink";
    let given = json!({ "folder_id": "F_1", "name": "a \"b\".md", "content": "# Hi\nyou", "mime_type": "text/markdown" });
    check(
        "drive.create_file",
        given,
        &[(
            "create",
            &[],
            None,
            &format!(
                "POST /upload/drive/v3/files?fields={MADE}&ignoreDefaultVisibility=true&supportsAllDrives=true\
                 &uploadType=multipart\nmultipart/related; boundary={boundary}\n--{boundary}\n\
                 Content-Type: application/json; charset=UTF-8\n\n\
                 {{\"mimeType\":\"text/markdown\",\"name\":\"a \\\"b\\\".md\",\"parents\":[\"F_1\"]}}\n\
                 --{boundary}\nContent-Type: text/markdown\n\n# Hi\nyou\n--{boundary}--\n"
            ),
        )],
    );
}

#[test]
fn drive_changes_and_shares() {
    const LEFT: &str = "id%2Cname%2CmimeType%2Csize%2CmodifiedTime%2Cparents%2Cshared";
    const FILE: &str = "/drive/v3/files/f-1";
    let one =
        |tool: &str, given: Value, step: &str, sent: String| check(tool, given, &[(step, &[], None, &sent)]);
    let json_of = |line: String, body: &str| format!("{line}\napplication/json\n{body}");
    // Of what was there before, nothing is told that others wrote.
    const PLAIN: &str = "id%2Csize%2CmodifiedTime%2Cparents%2Cshared";
    let patch = |fields: &str| format!("PATCH {FILE}?fields={fields}&supportsAllDrives=true");
    let file = json!({ "file_id": "f-1" });
    one(
        "drive.create_folder",
        json!({ "folder_id": "F_1", "name": "n" }),
        "create",
        json_of(
            "POST /drive/v3/files?fields=id%2Cname%2CmimeType%2CmodifiedTime%2Cparents%2Cshared%2CwebViewLink\
             &ignoreDefaultVisibility=true&supportsAllDrives=true"
                .to_owned(),
            r#"{"mimeType":"application/vnd.google-apps.folder","name":"n","parents":["F_1"]}"#,
        ),
    );
    one(
        "drive.copy_file",
        json!({ "file_id": "f-1", "folder_id": "F_1", "name": "n" }),
        "copy",
        json_of(
            format!(
                "POST {FILE}/copy?fields={LEFT}%2CwebViewLink&ignoreDefaultVisibility=true&supportsAllDrives=true"
            ),
            r#"{"name":"n","parents":["F_1"]}"#,
        ),
    );
    one(
        "drive.rename_file",
        json!({ "file_id": "f-1", "name": "it's \"n\"" }),
        "rename",
        json_of(patch("id%2Cname%2Csize%2CmodifiedTime%2Cparents%2Cshared"), r#"{"name":"it's \"n\""}"#),
    );
    one(
        "drive.move_file",
        json!({ "file_id": "f-1", "from_folder_id": "F_0", "folder_id": "F_1" }),
        "move",
        json_of(
            format!("PATCH {FILE}?addParents=F_1&fields={PLAIN}&removeParents=F_0&supportsAllDrives=true"),
            "{}",
        ),
    );
    one("drive.trash_file", file.clone(), "trash", json_of(patch(PLAIN), r#"{"trashed":true}"#));
    one("drive.untrash_file", file.clone(), "untrash", json_of(patch(PLAIN), r#"{"trashed":false}"#));
    for (notify, word) in [(None, "false"), (Some("true"), "true")] {
        let mut given = json!({ "file_id": "f-1", "email": ["Theo@Example.com"], "role": "writer" });
        if let Some(notify) = notify {
            given["notify"] = json!(notify);
        }
        one(
            "drive.share_file",
            given,
            "share",
            json_of(
                format!(
                    "POST {FILE}/permissions?fields=id%2Ctype%2Crole%2CemailAddress&sendNotificationEmail={word}\
                     &supportsAllDrives=true"
                ),
                r#"{"emailAddress":"Theo@example.com","role":"writer","type":"user"}"#,
            ),
        );
    }
    one(
        "drive.unshare_file",
        json!({ "file_id": "f-1", "permission_id": "17" }),
        "unshare",
        format!("DELETE {FILE}/permissions/17?supportsAllDrives=true"),
    );
}

/// Who is shared with is one address, never a list, a domain or everybody.
#[test]
fn a_share_reaches_one_address() {
    let catalog = built_in();
    let tool = catalog.tool(&"drive.share_file".parse().unwrap()).unwrap();
    for email in
        [json!([]), json!(["a@b.cd", "e@f.gh"]), json!("a@b.cd"), json!(["anyone"]), json!(["@b.cd"])]
    {
        let given = Canonical::from_json(&json!({ "file_id": "f", "email": email })).unwrap();
        let sent = Arguments::parse(&tool.args, given.value()).ok().and_then(|args| {
            let filling = Filling { args: &args, params: &BTreeMap::new(), page_token: None };
            render(&tool.steps[0], filling).ok()
        });
        assert!(sent.is_none(), "{email}");
    }
    for more in [json!({ "type": "anyone" }), json!({ "domain": "b.cd" }), json!({ "role": "owner" })] {
        let mut given = json!({ "file_id": "f", "email": ["a@b.cd"] });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let given = Canonical::from_json(&given).unwrap();
        assert!(Arguments::parse(&tool.args, given.value()).is_err(), "{more}");
    }
}

/// The requests that the vault makes of itself: resolving names, and looking at objects.
#[test]
fn the_vaults_own_steps() {
    let catalog = built_in();
    let nothing = Canonical::from_json(&json!({})).unwrap();
    let args = Arguments::parse(&BTreeMap::new(), nothing.value()).unwrap();
    let steps: Vec<String> = catalog
        .services
        .values()
        .flat_map(|service| service.steps.values())
        .map(|step| {
            let filled = params(&[
                ("name", "it's"),
                ("file_id", "f-1"),
                ("folder_id", "F-1"),
                ("message_id", "m-1"),
                ("draft_id", "r-1"),
                ("calendar_id", "c#1@g.org"),
                ("event_id", "e1"),
                ("owner", "me"),
                ("repo", "notes"),
                ("issue_number", "7"),
                ("pull_number", "8"),
            ]);
            let request = rendered(step, &args, &filled, None);
            format!("{} {}", request.method.as_str(), request.path_and_query)
        })
        .collect();
    let facts = "GET /drive/v3/files/f-1?fields=id%2Cname%2CmimeType%2Cparents%2Ctrashed%2Cshared%2CdriveId%2CmodifiedTime\
                 %2Cmd5Checksum%2Cowners%28emailAddress%29%2Cpermissions%28id%2Ctype%2Crole%2CemailAddress%29\
                 &supportsAllDrives=true";
    assert_eq!(
        steps,
        [
            "GET /calendar/v3/calendars/c%231%40g.org/acl?fields=items%28role%2Cscope%29%2CnextPageToken&maxResults=250",
            "GET /calendar/v3/users/me/calendarList?fields=items%28id%2Csummary%29&maxResults=250&showHidden=true",
            "GET /calendar/v3/calendars/c%231%40g.org/events/e1?fields=id%2Cetag%2Csummary%2Cstart%2Cend%2C\
             recurrence%2Corganizer%28email%2Cself%29%2CguestsCanModify%2Cattendees%2CattendeesOmitted",
            "POST /upload/drive/v3/files?fields=id%2Cname%2CmimeType%2Csize%2Cmd5Checksum%2Csha256Checksum%2CmodifiedTime\
             %2Cparents%2Cshared%2CwebViewLink&ignoreDefaultVisibility=true&supportsAllDrives=true&uploadType=resumable",
            facts,
            "GET /drive/v3/files?fields=nextPageToken%2Cfiles%28id%29&includeItemsFromAllDrives=true&pageSize=1000&q=%27F-1%27\
             %20in%20parents%20and%20mimeType%20%3D%20%27application%2Fvnd.google-apps.folder%27\
             &supportsAllDrives=true",
            "GET /drive/v3/files/f-1?fields=id%2Cpermissions%28type%2Crole%2CemailAddress%29%2C\
             lastModifyingUser%28emailAddress%29&supportsAllDrives=true",
            facts,
            "GET /drive/v3/files/F-1?fields=id%2Cname%2CmimeType%2Ctrashed%2Cshared%2CdriveId%2Cowners%28emailAddress%29%2C\
             permissions%28id%2Ctype%2Crole%2CemailAddress%29&supportsAllDrives=true",
            "GET /drive/v3/files?fields=files%28id%2Cname%29&pageSize=100&q=name%20%3D%20%27it%5C%27s%27%20and%20\
             mimeType%20%3D%20%27application%2Fvnd.google-apps.folder%27%20and%20trashed%20%3D%20false",
            facts,
            "GET /drive/v3/files?fields=files%28id%2Cname%2CmimeType%29&pageSize=100&q=name%20%3D%20%27it%5C%27s%27%20and%20\
             trashed%20%3D%20false",
            "GET /repos/me/notes/issues/7",
            "GET /repos/it%27s",
            "GET /repos/me/notes/pulls/8",
            "GET /repos/me/notes",
            "GET /repos/me/notes/collaborators?per_page=2",
            "POST /upload/gmail/v1/users/me/messages/send?uploadType=resumable",
            "GET /gmail/v1/users/me/drafts/r-1?fields=id%2Cmessage%28id%2CthreadId%2Craw%29&format=raw",
            "GET /gmail/v1/users/me/drafts/r-1?fields=id%2Cmessage%28id%2CthreadId%2Cpayload%2Fheaders%29&format=metadata",
            "GET /gmail/v1/users/me/labels",
            "GET /gmail/v1/users/me/messages/m-1?fields=id%2CthreadId%2ClabelIds%2Cpayload&format=full",
            "GET /gmail/v1/users/me/messages/m-1?fields=id%2Cpayload%2Fheaders&format=metadata&metadataHeaders=From\
             &metadataHeaders=Authentication-Results",
            "GET /gmail/v1/users/me/messages/m-1?fields=id%2CinternalDate%2Cpayload%2Fheaders&format=metadata&metadataHeaders=From",
            "GET /gmail/v1/users/me/messages/m-1?fields=id%2ClabelIds&format=minimal",
            "GET /gmail/v1/users/me/messages/m-1?fields=id%2Craw&format=raw",
        ]
    );
}
