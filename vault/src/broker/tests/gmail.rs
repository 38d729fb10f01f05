//! Gmail's tools, and what would get round them: headers that choose recipients, drafts that change, lists that name what
//! they should not, labels that a tool takes off itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use claviger_domain::caveat::{Caveat, PeopleBound, Role};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::google::serve;
use super::upstream::json as answer;
use super::world::{World, class, within};
use crate::port::Answer;

const GMAIL: &str = "/gmail/v1/users/me/";

/// Mails and drafts as Gmail has them.
#[derive(Default)]
struct Box_ {
    mails: BTreeMap<String, Value>,
    drafts: BTreeMap<String, String>,
}

type Shared = Arc<Mutex<Box_>>;

fn mail(id: &str, labels: &[&str], headers: &[(&str, &str)]) -> (String, Value) {
    let headers: Vec<Value> =
        headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mail = json!({
        "id": id, "threadId": "t1", "labelIds": labels, "internalDate": "1793577600000",
        "payload": {
            "partId": "", "mimeType": "multipart/mixed", "filename": "", "headers": headers, "body": { "size": 0 },
            "parts": [
                { "partId": "0", "mimeType": "text/plain", "filename": "", "body": { "data": URL_SAFE.encode("Hello") } },
                { "partId": "1", "mimeType": "text/csv", "filename": "a.csv", "body": { "size": 2, "attachmentId": format!("att-{id}{}", "x".repeat(400)) } },
            ],
        },
    });
    (id.to_owned(), mail)
}

const FROM_ANN: (&str, &str) = ("From", "Ann <ann@example.org>");

async fn world() -> (World, Shared) {
    let world = World::new().await;
    let mails = [
        mail(
            "m1",
            &["Label_ai", "INBOX"],
            &[
                ("Delivered-To", "me@example.org"),
                FROM_ANN,
                ("To", "me@example.org, bo@example.org"),
                ("Subject", "Plan"),
                ("Message-ID", "<1@example.org>"),
                ("References", "<0@example.org>"),
                ("Date", "Mon, 2 Nov 2026 08:00:00 +0000"),
            ],
        ),
        mail(
            "m2",
            &["Label_ai"],
            &[FROM_ANN, ("Reply-To", "ann@evil.example"), ("To", "me@example.org"), ("Subject", "Plan")],
        ),
        mail(
            "m3",
            &["Label_ai"],
            &[("From", "eve@evil.example"), ("To", "me@example.org"), ("Cc", "bo@example.org")],
        ),
        mail("hidden", &["INBOX"], &[FROM_ANN, ("To", "me@example.org"), ("Subject", "Secret")]),
        mail("hidden_evil", &["INBOX"], &[("From", "eve@evil.example"), ("To", "me@example.org")]),
    ];
    let shared = Arc::new(Mutex::new(Box_ { mails: mails.into_iter().collect(), drafts: BTreeMap::new() }));
    let (google, held) = (serve(&world.google), Arc::clone(&shared));
    world.upstream.answer_with(move |seen| match seen.target.strip_prefix(GMAIL) {
        Some(rest) => held.lock().unwrap().reply(&seen.method, rest),
        None => google(seen),
    });
    (world, shared)
}

impl Box_ {
    fn reply(&mut self, method: &str, rest: &str) -> super::upstream::Reply {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let none = || answer(404, &json!({ "error": "not found" }));
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["messages"] => {
                let ids: Vec<Value> =
                    self.mails.keys().map(|id| json!({ "id": id, "threadId": "t1" })).collect();
                answer(200, &json!({ "messages": ids }))
            }
            ["messages" | "drafts", "send"] => {
                answer(200, &json!({ "id": "sent1", "threadId": "t1", "labelIds": ["SENT"] }))
            }
            ["messages", "batchModify"] | ["drafts", ..] if method != "GET" => {
                Ok(Answer { status: 204, headers: Vec::new(), body: "".into() })
            }
            ["messages", id, "attachments", attachment] => match self.mails.get(*id) {
                Some(_) if attachment.starts_with(&format!("att-{id}x")) => {
                    answer(200, &json!({ "size": 2, "data": "aGk=" }))
                }
                _ => none(),
            },
            ["messages", id] if query.contains("format=raw") => match self.mails.get(*id) {
                Some(mail) => answer(
                    200,
                    &json!({ "id": mail["id"], "raw": URL_SAFE.encode("Subject: inner\r\n\r\nHi\r\n") }),
                ),
                None => none(),
            },
            ["messages", id, ..] => self.mails.get(*id).map_or_else(none, |mail| answer(200, mail)),
            ["threads", "t1"] => {
                let all: Vec<&Value> = self.mails.values().collect();
                answer(200, &json!({ "id": "t1", "messages": all }))
            }
            ["drafts", id] => match self.drafts.get(*id) {
                Some(raw) => {
                    let message = json!({ "id": "dm1", "threadId": "t9", "raw": URL_SAFE.encode(raw) });
                    answer(200, &json!({ "id": id, "message": message }))
                }
                None => none(),
            },
            _ => none(),
        }
    }
}

fn recipients(patterns: &[&str]) -> Caveat {
    Caveat::Recipients(patterns.iter().map(|text| text.parse().unwrap()).collect())
}

fn senders(patterns: &[&str]) -> Caveat {
    Caveat::People(PeopleBound {
        role: Role::Sender,
        patterns: patterns.iter().map(|text| text.parse().unwrap()).collect(),
    })
}

/// What went out besides reads, with bodies.
fn acts(world: &World) -> Vec<(String, Value)> {
    let acts = world.upstream.calls().into_iter().filter(|call| call.method != "GET");
    acts.map(|call| (call.target, serde_json::from_str(&call.body).unwrap_or(Value::Null))).collect()
}

/// The whole mail in a request's body.
fn raw(body: &Value) -> String {
    let raw = body.get("raw").or_else(|| body.pointer("/message/raw")).unwrap().as_str().unwrap();
    String::from_utf8(URL_SAFE.decode(raw).unwrap()).unwrap()
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().unwrap();
    (refusal.class, refusal.field)
}

#[tokio::test]
async fn an_answer_goes_to_whom_the_original_names_and_says_what_it_answers() {
    let (world, _) = world().await;
    world.grant(&["gmail.reply", "gmail.reply_all"], vec![recipients(&["*@example.org"])]).await;
    world.call("gmail.reply", json!({ "message_id": "m1", "body": "Yes" })).await.unwrap();
    let (target, body) = acts(&world).remove(0);
    assert_eq!((target.as_str(), &body["threadId"]), ("/gmail/v1/users/me/messages/send", &json!("t1")));
    let mail = raw(&body);
    let (head, text) = mail.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "MIME-Version: 1.0\r\nTo: ann@example.org\r\nSubject: Re: Plan\r\nIn-Reply-To: <1@example.org>\r\n\
         References: <0@example.org>\r\n <1@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64"
    );
    let text = base64::engine::general_purpose::STANDARD.decode(text.replace("\r\n", "")).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "Yes\r\n\r\nOn Mon, 2 Nov 2026 08:00:00 +0000, Ann <ann@example.org> wrote:\r\n> Hello"
    );
    world.call("gmail.reply_all", json!({ "message_id": "m1", "body": "Yes" })).await.unwrap();
    // Without the owner, and without whom it goes to anyway.
    assert!(raw(&acts(&world)[1].1).contains("To: ann@example.org\r\nCc: bo@example.org\r\n"));
    world.all_announced();
}

#[tokio::test]
async fn a_strangers_header_chooses_nobody_who_is_not_allowed() {
    let (world, mails) = world().await;
    world.grant(&["gmail.reply", "gmail.reply_all"], vec![recipients(&["*@example.org"])]).await;
    for id in ["m2", "m3"] {
        assert_eq!(
            class(world.call("gmail.reply", json!({ "message_id": id, "body": "x" })).await),
            Class::OutOfScope
        );
    }
    let put = |name: &str, value: &str| {
        let (id, one) = mail("m4", &["Label_ai"], &[FROM_ANN, (name, value)]);
        mails.lock().unwrap().mails.insert(id, one);
    };
    for (tool, name, value) in [
        ("gmail.reply", "Reply-To", "ann@example.org, eve@evil.example"),
        ("gmail.reply", "Reply-To", "ann@example.org <eve@evil.example>"),
        ("gmail.reply", "Reply-To", "ann@example.org (x) eve@evil.example"),
        ("gmail.reply", "Reply-To", "\"ann@example.org\" <eve@evil.example>"),
        ("gmail.reply", "reply-to", "eve@evil.example"),
        ("gmail.reply", "From", "eve@evil.example"),
        ("gmail.reply", "Reply-To", "ann@еxample.org"),
        ("gmail.reply", "Reply-To", "=?utf-8?q?ann=40example.org?="),
        ("gmail.reply_all", "Cc", "eve@evil.example"),
        ("gmail.reply_all", "To", "team: ann@example.org, eve@evil.example;"),
        ("gmail.reply_all", "Cc", "nonsense"),
    ] {
        put(name, value);
        let result = world.call(tool, json!({ "message_id": "m4", "body": "x" })).await;
        assert_eq!(class(result), Class::OutOfScope, "{tool} {name}: {value}");
    }
    assert_eq!(acts(&world), []);
    put("Cc", "undisclosed-recipients:;");
    world.call("gmail.reply_all", json!({ "message_id": "m4", "body": "x" })).await.unwrap();
}

#[tokio::test]
async fn what_is_out_of_scope_is_neither_answered_nor_forwarded_and_told_like_what_is_not_there() {
    let (world, _) = world().await;
    let bounds = || vec![recipients(&["*@example.org"]), within("label", &["Label_ai"])];
    world.grant(&["gmail.reply", "gmail.reply_all", "gmail.forward", "gmail.forward_whole"], bounds()).await;
    for tool in ["gmail.reply", "gmail.reply_all", "gmail.forward", "gmail.forward_whole"] {
        let mut given = json!({ "body": "x" });
        if tool.contains("forward") {
            given["to"] = json!(["ann@example.org"]);
        }
        let mut answers = Vec::new();
        // One that could be answered, one that could not, and none at all.
        for id in ["hidden", "hidden_evil", "absent"] {
            given["message_id"] = json!(id);
            let minted = world.mint(tool, given.clone()).await;
            answers.push(told(minted));
        }
        assert_eq!(answers, vec![(Class::OutOfScope, Some("object".to_owned())); 3], "{tool}");
        given["message_id"] = json!("m1");
        assert!(world.call(tool, given).await.is_ok(), "{tool}");
    }
    assert_eq!(acts(&world).len(), 4);
}

#[tokio::test]
async fn a_mail_is_forwarded_to_those_allowed_only() {
    let (world, _) = world().await;
    world.grant(&["gmail.forward", "gmail.forward_whole"], vec![recipients(&["ann@example.org"])]).await;
    for tool in ["gmail.forward", "gmail.forward_whole"] {
        let given = |field: &str, whom: &str| {
            let mut given = json!({ "message_id": "m1", "to": ["ann@example.org"], "body": "See below" });
            given[field] = json!([whom]);
            given
        };
        for field in ["to", "cc", "bcc"] {
            assert_eq!(
                class(world.call(tool, given(field, "eve@evil.example")).await),
                Class::OutOfScope,
                "{field}"
            );
        }
        world.call(tool, given("to", "ann@example.org")).await.unwrap();
    }
    let acts = acts(&world);
    assert_eq!(acts.len(), 2);
    assert!(raw(&acts[0].1).contains("Subject: Fwd: Plan\r\nContent-Type: text/plain"));
    let whole = raw(&acts[1].1);
    assert!(
        whole.contains("\r\n\r\nSubject: inner\r\n\r\nHi\r\n\r\n--=_")
            && whole.contains("Content-Type: message/rfc822")
    );
    assert_eq!(acts[0].1.get("threadId"), None);
}

#[tokio::test]
async fn a_draft_goes_to_those_allowed_and_goes_as_it_was_seen() {
    let (world, mails) = world().await;
    world.grant(&["gmail.send_draft"], vec![recipients(&["*@example.org"])]).await;
    let put = |raw: &str| drop(mails.lock().unwrap().drafts.insert("r1".to_owned(), raw.to_owned()));
    let good = "To: ann@example.org\r\nSubject: x\r\n\r\nHi\r\n";
    put(good);
    world.call("gmail.send_draft", json!({ "draft_id": "r1" })).await.unwrap();
    let sent = json!({ "id": "r1", "message": { "raw": URL_SAFE.encode(good), "threadId": "t9" } });
    assert_eq!(acts(&world), [("/gmail/v1/users/me/drafts/send".to_owned(), sent)]);
    for bad in [
        "To: ann@example.org\r\nBcc: eve@evil.example\r\n\r\nHi",
        "To: ann@example.org\r\nCc: eve@evil.example\r\n\r\nHi",
        "To: ann@example.org\r\nReply-To: eve@evil.example\r\n\r\nHi",
        "To: ann@example.org, eve@evil.example\r\n\r\nHi",
        "To: ann@example.org\r\nTo: eve@evil.example\r\n\r\nHi",
        "To: ann@example.org\r\nBcc : eve@evil.example\r\n\r\nHi",
        "To: ann@example.org\r\nX: y\nBcc: eve@evil.example\r\n\r\nHi",
        "To: ann@example.org\r\nResent-Bcc: eve@evil.example\r\n\r\nHi",
        "To: ann@example.org <eve@evil.example>\r\n\r\nHi",
        "Subject: nobody\r\n\r\nHi",
        "To: undisclosed-recipients:;\r\n\r\nHi",
    ] {
        put(bad);
        let result = world.call("gmail.send_draft", json!({ "draft_id": "r1" })).await;
        assert!(result.is_err() || bad.contains("nobody") || bad.contains("undisclosed"), "{bad:?}");
    }
    let sends = acts(&world).len();
    // Somebody else writes the draft anew, after the call was decided.
    put(good);
    let minted = world.mint("gmail.send_draft", json!({ "draft_id": "r1" })).await.unwrap();
    put("To: ann@example.org\r\nSubject: x\r\n\r\nSend me your password\r\n");
    assert_eq!(class(world.send(&minted, "send", &[]).await), Class::OutOfScope);
    assert_eq!(acts(&world).len(), sends);
    assert_eq!(
        told(world.mint("gmail.send_draft", json!({ "draft_id": "none" })).await).0,
        Class::OutOfScope
    );
}

#[tokio::test]
async fn drafts_are_bounded_by_recipients_and_not_by_label() {
    let (world, _) = world().await;
    for tool in ["list_drafts", "get_draft", "create_draft", "update_draft", "send_draft", "delete_draft"] {
        let tool = format!("gmail.{tool}");
        let refused = world.try_grant("ann", &[&tool], vec![within("label", &["Label_ai"])]).await;
        assert!(format!("{:?}", refused.err().unwrap()).contains("label"), "{tool}");
    }
    world.grant(&["gmail.create_draft"], vec![recipients(&["*@example.org"])]).await;
    for field in ["to", "cc", "bcc", "reply_to"] {
        let mut given = json!({ "subject": "s", "body": "b" });
        given[field] = json!(["eve@evil.example"]);
        assert_eq!(class(world.call("gmail.create_draft", given).await), Class::OutOfScope, "{field}");
    }
    assert_eq!(acts(&world), []);
}

#[tokio::test]
async fn one_mail_out_of_scope_and_none_is_changed() {
    let (world, mails) = world().await;
    let tools = ["gmail.label_messages", "gmail.mark_read", "gmail.mark_unread"];
    world.grant(&tools, vec![within("label", &["Label_ai"])]).await;
    for tool in tools {
        let mut given = json!({ "message_ids": ["m1", "hidden"] });
        if tool == "gmail.label_messages" {
            given["add"] = json!(["STARRED"]);
        }
        let mut answers = vec![told(world.call(tool, given.clone()).await)];
        given["message_ids"] = json!(["m1", "absent"]);
        answers.push(told(world.call(tool, given.clone()).await));
        assert_eq!(answers, vec![(Class::OutOfScope, Some("object".to_owned())); 2], "{tool}");
        given["message_ids"] = json!([]);
        assert_eq!(class(world.call(tool, given.clone()).await), Class::OutOfScope, "{tool}");
        given["message_ids"] = json!(["m1", "m2"]);
        world.call(tool, given).await.unwrap();
    }
    assert_eq!(acts(&world).len(), 3);
    let out = json!({ "message_ids": ["m1"], "remove": ["Label_ai"] });
    assert_eq!(class(world.call("gmail.label_messages", out).await), Class::OutOfScope);
    // What was on the way is looked at again before it is told that it was done.
    mails.lock().unwrap().mails.get_mut("m2").unwrap()["labelIds"] = json!([]);
    assert_eq!(
        class(world.call("gmail.mark_read", json!({ "message_ids": ["m2"] })).await),
        Class::OutOfScope
    );
    assert_eq!(acts(&world).len(), 3);
}

#[tokio::test]
async fn a_tool_does_not_take_off_the_label_that_bounds_it() {
    let (world, _) = world().await;
    world.grant(&["gmail.trash_message"], vec![within("label", &["INBOX"])]).await;
    assert_eq!(
        class(world.call("gmail.trash_message", json!({ "message_id": "m1" })).await),
        Class::OutOfScope
    );
    assert_eq!(acts(&world), []);
    world.try_grant("bob", &["gmail.mark_read"], vec![within("label", &["UNREAD"])]).await.unwrap();
    let (text, bytes) =
        world.present_as("bob", "gmail.mark_read", &json!({ "message_ids": ["m1"] }), |claim| {
            claim.nonce = [9; 12]
        });
    let minted = world.broker.mint(&super::world::adapter("gmail"), &text, &bytes).await.unwrap();
    assert_eq!(class(world.send(&minted, "modify", &[]).await), Class::OutOfScope);
    assert_eq!(acts(&world), []);
}

#[tokio::test]
async fn a_thread_has_its_mails_in_scope_and_no_other() {
    let (world, mails) = world().await;
    world.grant(&["gmail.get_thread"], vec![within("label", &["Label_ai"])]).await;
    let minted = world.mint("gmail.get_thread", json!({ "thread_id": "t1" })).await.unwrap();
    let sent = world.send(&minted, "thread", &[]).await.unwrap();
    let body = String::from_utf8_lossy(&sent.body).into_owned();
    assert!(body.contains("\"m1\"") && body.contains("\"m3\"") && !body.contains("hidden"), "{body}");
    assert!(world.send(&minted, "message", &[("message_id", "m1")]).await.is_ok());
    // Its id was never told, so it cannot be asked for.
    assert_eq!(class(world.send(&minted, "message", &[("message_id", "hidden")]).await), Class::BadStep);
    mails.lock().unwrap().mails.retain(|id, _| id.starts_with("hidden"));
    let minted = world.mint("gmail.get_thread", json!({ "thread_id": "t1" })).await.unwrap();
    let nothing = told(world.send(&minted, "thread", &[]).await);
    let minted = world.mint("gmail.get_thread", json!({ "thread_id": "t2" })).await.unwrap();
    assert_eq!(nothing, told(world.send(&minted, "thread", &[]).await));
    assert_eq!(nothing, (Class::OutOfScope, Some("object".to_owned())));
}

#[tokio::test]
async fn an_attachment_comes_out_of_the_mail_that_was_judged() {
    let (world, mails) = world().await;
    world.grant(&["gmail.get_attachment"], vec![within("label", &["Label_ai"])]).await;
    let id = |mail: &str| format!("att-{mail}{}", "x".repeat(400));
    let mint = async |mail: &str| {
        world.mint("gmail.get_attachment", json!({ "message_id": mail, "part": "1" })).await.unwrap()
    };
    let minted = mint("m1").await;
    // Not before the mail was seen, and never another one's.
    assert_eq!(
        class(world.send(&minted, "attachment", &[("attachment_id", &id("m1"))]).await),
        Class::BadStep
    );
    let minted = mint("m1").await;
    world.send(&minted, "message", &[]).await.unwrap();
    let sent = world.send(&minted, "attachment", &[("attachment_id", &id("m1"))]).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), json!({ "size": 2, "data": "aGk=" }));
    let minted = mint("m1").await;
    world.send(&minted, "message", &[]).await.unwrap();
    assert_eq!(
        class(world.send(&minted, "attachment", &[("attachment_id", &id("hidden"))]).await),
        Class::BadStep
    );
    let minted = mint("hidden").await;
    assert_eq!(class(world.send(&minted, "message", &[]).await), Class::OutOfScope);
    assert_eq!(
        class(world.send(&minted, "attachment", &[("attachment_id", &id("hidden"))]).await),
        Class::BadStep
    );
    // It leaves the label in between.
    let minted = mint("m1").await;
    world.send(&minted, "message", &[]).await.unwrap();
    mails.lock().unwrap().mails.get_mut("m1").unwrap()["labelIds"] = json!([]);
    assert_eq!(
        class(world.send(&minted, "attachment", &[("attachment_id", &id("m1"))]).await),
        Class::OutOfScope
    );
}

#[tokio::test]
async fn a_search_names_no_mail_of_a_sender_out_of_scope() {
    let (world, mails) = world().await;
    world.grant(&["gmail.search_messages"], vec![senders(&["ann@example.org"])]).await;
    let list = async || {
        let minted = world.mint("gmail.search_messages", json!({})).await.unwrap();
        let sent = world.send(&minted, "list", &[]).await.unwrap();
        (minted, String::from_utf8(sent.body.to_vec()).unwrap())
    };
    let (minted, body) = list().await;
    let listed: Value = serde_json::from_str(&body).unwrap();
    let ids: Vec<&str> =
        listed["messages"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["hidden", "m1", "m2"]);
    assert!(world.send(&minted, "summary", &[("message_id", "m1")]).await.is_ok());
    assert_eq!(class(world.send(&minted, "summary", &[("message_id", "m3")]).await), Class::BadStep);
    // The answer is the same whether there are others or not.
    mails.lock().unwrap().mails.retain(|id, _| ids.contains(&id.as_str()));
    assert_eq!(list().await.1, body);
    // A mail that says two senders, or none that can be read, has none in scope.
    for (name, headers) in [
        ("two", vec![FROM_ANN, ("from", "eve@evil.example")]),
        ("odd", vec![("From", "ann@example.org <eve@evil.example>")]),
        ("none", vec![("To", "ann@example.org")]),
    ] {
        let (id, one) = mail(name, &[], &headers);
        mails.lock().unwrap().mails.insert(id, one);
    }
    assert_eq!(list().await.1, body);
}
