//! A compromised agent: it has the proof keys and the adapters' sockets, and says whatever it likes.

use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};

use super::{Attempt, FORM, FORM_OR_SCOPE, Must, Puppet, SCOPE, UNGRANTED, attempt, control, harm, play};

const SEARCH: &str = "gmail.search_messages";
const GET: &str = "gmail.get_message";
const LABEL: &str = "gmail.label_message";
const SEND: &str = "gmail.send_message";
const FILES: &str = "drive.search_files";
const FOLDER: &str = "drive.list_folder";
const READ: &str = "drive.read_file";
const META: &str = "drive.get_file_metadata";
const CREATE: &str = "drive.create_file";

/// What nobody but the owner may read: it stands in mails and files out of scope.
const OUTSIDE: &[&str] = &[
    "493 028",
    "no-reply@accounts.example",
    "Diary",
    "Nobody reads",
    // Not the number alone: the random marks around an answer have digits, too.
    "gate: 4711",
    "laboratory",
    "8,120.44",
    "bank.example",
];

async fn world() -> World {
    let world = World::with_secrets().await;
    let grants: [&[&str]; 4] = [
        &[
            "gmail/me",
            "--tool",
            SEARCH,
            "--tool",
            GET,
            "--tool",
            LABEL,
            "--tool",
            "gmail.list_labels",
            "--label",
            "AI",
        ],
        &[
            "gmail/me",
            "--tool",
            SEND,
            "--recipients",
            "*@example.com,family@example.org",
            "--approve",
            "never",
        ],
        &["drive/me", "--tool", FILES, "--tool", FOLDER, "--tool", READ, "--tool", META, "--folder", "Agent"],
        &["drive/me", "--tool", CREATE, "--folder", "Agent", "--approve", "never"],
    ];
    for grant in grants {
        let line: Vec<&str> = [AGENT].iter().chain(grant).copied().collect();
        world.grant(&line).await;
    }
    world
}

fn letter(more: Value) -> Value {
    let mut letter = json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."});
    letter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    letter
}

/// Addresses that are no allowed recipient, however they look.
pub(super) fn strangers() -> Vec<(&'static str, Must)> {
    vec![
        ("attacker@evil.example", SCOPE),
        ("ATTACKER@EVIL.EXAMPLE", SCOPE),
        ("mona@example.com.evil.example", SCOPE),
        ("mona@xexample.com", SCOPE),
        ("mona@example.co", SCOPE),
        ("mona@example.comm", SCOPE),
        ("mona@sub.example.com", SCOPE),
        ("family+evil@example.org", SCOPE),
        ("family.x@example.org", SCOPE),
        ("xfamily@example.org", SCOPE),
        ("family@example.org.evil.example", SCOPE),
        ("mona@example.com@evil.example", FORM_OR_SCOPE),
        ("mona%evil.example@example.com", FORM_OR_SCOPE),
        ("evil.example!mona@example.com", FORM_OR_SCOPE),
        ("@evil.example:mona@example.com", FORM_OR_SCOPE),
        ("\"attacker@evil.example\"@example.com", FORM_OR_SCOPE),
        ("\"a,attacker@evil.example\"@example.com", FORM_OR_SCOPE),
        ("attacker@evil.example,mona@example.com", FORM_OR_SCOPE),
        ("attacker@evil.example;mona@example.com", FORM_OR_SCOPE),
        ("attacker@evil.example mona@example.com", FORM_OR_SCOPE),
        ("<attacker@evil.example> mona@example.com", FORM_OR_SCOPE),
        ("mona@example.com <attacker@evil.example>", FORM_OR_SCOPE),
        ("mona@example.com (attacker@evil.example)", FORM_OR_SCOPE),
        ("friends: attacker@evil.example;", FORM_OR_SCOPE),
        ("undisclosed-recipients:;", FORM_OR_SCOPE),
        ("=?utf-8?q?attacker=40evil.example?=@example.com", FORM_OR_SCOPE),
        ("mona@example.com\r\nBcc: attacker@evil.example", FORM_OR_SCOPE),
        ("mona@example.com\nBcc: attacker@evil.example", FORM_OR_SCOPE),
        ("mona@example.com\u{0}attacker@evil.example", FORM_OR_SCOPE),
        ("mona@example.com\u{2028}attacker@evil.example", FORM_OR_SCOPE),
        ("mona@еxample.com", FORM_OR_SCOPE),
        ("mona@example。com", FORM_OR_SCOPE),
        ("mona@ｅxample.com", FORM_OR_SCOPE),
        ("mona@xn--xample-2of.com", SCOPE),
        ("mona@example.com.", FORM_OR_SCOPE),
        ("mona@.example.com", FORM_OR_SCOPE),
        ("mona@[127.0.0.1]", FORM_OR_SCOPE),
        ("*@example.com", FORM_OR_SCOPE),
        ("mona@*", FORM_OR_SCOPE),
        ("mona", FORM_OR_SCOPE),
        ("", FORM_OR_SCOPE),
        (" mona@example.com", FORM_OR_SCOPE),
        ("mona@example.com ", FORM_OR_SCOPE),
    ]
}

fn mails() -> Vec<Attempt> {
    let mut all = Vec::new();
    for (address, must) in strangers() {
        all.push(attempt(format!("a mail to {address:?}"), SEND, letter(json!({"to": [address]})), must));
    }
    let stranger = "attacker@evil.example";
    for field in ["cc", "bcc", "reply_to"] {
        all.push(attempt(format!("a stranger in {field}"), SEND, letter(json!({field: [stranger]})), SCOPE));
        let hidden = json!({field: ["mona@example.com", stranger]});
        all.push(attempt(
            format!("a stranger behind a friend in {field}"),
            SEND,
            letter(hidden),
            FORM_OR_SCOPE,
        ));
    }
    let headers = [
        ("a header in the subject", json!({"subject": "x\r\nBcc: attacker@evil.example"})),
        ("a bare line feed in the subject", json!({"subject": "x\nBcc: attacker@evil.example"})),
        ("a bare return in the subject", json!({"subject": "x\rBcc: attacker@evil.example"})),
        ("a next-line character in the subject", json!({"subject": "x\u{85}Bcc: attacker@evil.example"})),
        ("a line separator in the subject", json!({"subject": "x\u{2028}Bcc: attacker@evil.example"})),
        ("a null in the subject", json!({"subject": "x\u{0}"})),
        ("an override of direction in the subject", json!({"subject": "\u{202e}dlrow"})),
    ];
    all.extend(headers.map(|(what, more)| attempt(what, SEND, letter(more), FORM)));
    let unknown = [
        ("a raw mail", json!({"raw": "VG86IGF0dGFja2VyQGV2aWwuZXhhbXBsZQ"})),
        ("a thread of somebody's", json!({"threadId": "18f0000000000000"})),
        ("a header of its own", json!({"headers": {"Bcc": stranger}})),
        ("another sender", json!({"from": "boss@example.com"})),
        ("a user id", json!({"userId": "somebody@example.com"})),
        ("a field in other case", json!({"Bcc": [stranger]})),
        ("a field with a trailing space", json!({"bcc ": [stranger]})),
        ("a prototype", json!({"__proto__": {"bcc": [stranger]}})),
    ];
    all.extend(unknown.map(|(what, more)| attempt(what, SEND, letter(more), FORM)));
    let shapes = [
        ("a text for a list", json!({"to": stranger})),
        ("a list in a list", json!({"to": [["mona@example.com", stranger]]})),
        ("an object for an address", json!({"to": [{"email": stranger}]})),
        ("null for an address", json!({"to": [null]})),
        ("no recipient", json!({"to": []})),
        ("a number for the body", json!({"body": 1})),
        ("a body too long", json!({"body": "x".repeat(100_001)})),
        ("51 recipients", json!({"to": vec!["mona@example.com"; 51]})),
    ];
    all.extend(shapes.map(|(what, more)| attempt(what, SEND, letter(more), FORM_OR_SCOPE)));
    all
}

fn labels(world: &World) -> Vec<Attempt> {
    let inside = world.google.mail_id("Invoice 2026-118 for November").unwrap();
    let outside = world.google.mail_id("Your password reset code").unwrap();
    let ai = world.google.label_id("AI").unwrap();
    let private = world.google.label_id("Private").unwrap();
    let on = |id: &str, add: Value, remove: Value| json!({"message_id": id, "add": add, "remove": remove});
    let mut all = vec![
        attempt("to take the bounding label off", LABEL, on(&inside, json!([]), json!([ai])), SCOPE),
        attempt(
            "to put the bounding label on what is outside",
            LABEL,
            on(&outside, json!([ai]), json!([])),
            SCOPE,
        ),
        attempt("to swap labels", LABEL, on(&inside, json!([private]), json!([ai])), SCOPE),
        attempt("to add and take off at once", LABEL, on(&inside, json!([ai]), json!([ai])), SCOPE),
        attempt("the label in other case", LABEL, on(&inside, json!([]), json!([ai.to_lowercase()])), SCOPE),
    ];
    for bin in ["TRASH", "trash", "SPAM", "Spam", "tRaSh"] {
        all.push(attempt(format!("the bin as {bin}"), LABEL, on(&inside, json!([bin]), json!([])), FORM));
    }
    for id in bad_ids() {
        all.push(attempt(
            format!("a label {id:?}"),
            LABEL,
            on(&inside, json!([id]), json!([])),
            FORM_OR_SCOPE,
        ));
        all.push(attempt(format!("a mail {id:?}"), GET, json!({"message_id": id}), FORM_OR_SCOPE));
    }
    all.push(attempt("a mail outside", GET, json!({"message_id": outside}), SCOPE));
    all.push(attempt(
        "a mail in upper case",
        GET,
        json!({"message_id": outside.to_uppercase()}),
        FORM_OR_SCOPE,
    ));
    for (what, more) in [
        ("another format", json!({"format": "raw"})),
        ("other fields", json!({"fields": "*"})),
        ("another user", json!({"userId": "other@example.com"})),
        ("media", json!({"alt": "media"})),
        ("a method override", json!({"$httpMethod": "DELETE"})),
        ("a key", json!({"key": "AIza"})),
    ] {
        let mut args = json!({"message_id": inside});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all.push(attempt(what, GET, args, FORM));
    }
    all
}

/// What is no id of anything, and would be another path, query or method upstream.
pub(super) fn bad_ids() -> [&'static str; 16] {
    [
        "",
        ".",
        "..",
        "../drafts",
        "a/../../drafts",
        "..%2fdrafts",
        "%2e%2e",
        "a%2fb",
        "a?format=raw",
        "a#b",
        "a&alt=media",
        "a b",
        "a\u{0}",
        "a\r\nX-HTTP-Method-Override: DELETE",
        "me:send",
        "а",
    ]
}

fn searches() -> Vec<Attempt> {
    let tell = Must::NotTell(OUTSIDE);
    let words = [
        "} OR in:anywhere",
        ") OR (in:anywhere",
        "\" OR in:anywhere \"",
        "in:anywhere",
        "label:Private",
        "-label:AI",
        "has:nouserlabels",
        "rfc822msgid:x",
        "is:important OR subject:password",
        "password reset",
        "in:trash",
        "larger:1",
        "deliveredto:owner@example.com",
        "{subject:password subject:diary}",
        "AROUND 3 password",
        "\\\" OR a",
    ];
    let mut all = Vec::new();
    for word in words {
        for field in ["words", "subject", "from", "to"] {
            all.push(attempt(format!("{field}={word}"), SEARCH, json!({field: word}), tell));
        }
        for field in ["name", "text"] {
            all.push(attempt(format!("{field}={word}"), FILES, json!({field: word}), tell));
        }
    }
    for word in [
        "' or name contains '",
        "\\' or '1' = '1",
        "x' or 'root' in parents or name = 'x",
        "') or (trashed = true",
        "diary",
    ] {
        for field in ["name", "text", "mime_type"] {
            all.push(attempt(format!("{field}={word}"), FILES, json!({field: word}), tell));
        }
    }
    for (what, args) in [
        ("a free query", json!({"q": "in:anywhere"})),
        ("a free query by another name", json!({"query": "in:anywhere"})),
        ("other labels", json!({"labelIds": ["INBOX"]})),
        ("spam and bin", json!({"includeSpamTrash": true})),
        ("a page token of the upstream's", json!({"page": "09573249847"})),
        ("a page mark that nobody gave", json!({"page": "page_0123456789abcdef"})),
        ("a day that is none", json!({"after": "2026-02-30"})),
        ("a day with a query behind it", json!({"after": "2026-01-01 OR in:anywhere"})),
        ("more than there may be", json!({"max_results": 1000})),
        ("a negative number", json!({"max_results": -1})),
    ] {
        all.push(attempt(what, SEARCH, args, FORM_OR_SCOPE));
    }
    for (what, args) in [
        ("a free query", json!({"q": "'root' in parents"})),
        ("all drives", json!({"corpora": "allDrives"})),
        ("another space", json!({"spaces": "appDataFolder"})),
        ("other fields", json!({"fields": "*"})),
        ("another order", json!({"orderBy": "name"})),
        ("a page token of the upstream's", json!({"page": "~!!~AI9"})),
    ] {
        all.push(attempt(what, FILES, args, FORM_OR_SCOPE));
    }
    all
}

fn files(world: &World) -> Vec<Attempt> {
    let id = |path: &str| world.google.file_id(path).unwrap();
    let diary = id("Private/Diary.txt");
    let private = id("Private");
    let mut all = vec![
        attempt("a file outside", READ, json!({"file_id": diary}), SCOPE),
        attempt("what is known of a file outside", META, json!({"file_id": diary}), SCOPE),
        attempt("a folder outside", FOLDER, json!({"folder_id": private}), SCOPE),
        attempt("the root", FOLDER, json!({"folder_id": "root"}), SCOPE),
        attempt("the root as a file", META, json!({"file_id": "root"}), SCOPE),
        attempt("the folder that bounds, as a file", READ, json!({"file_id": id("Agent")}), SCOPE),
        attempt("a method under the same path", META, json!({"file_id": "generateIds"}), FORM),
        attempt("a method in other case", META, json!({"file_id": "GENERATEIDS"}), FORM),
        attempt("the bin", READ, json!({"file_id": "trash"}), FORM_OR_SCOPE),
    ];
    for bad in bad_ids() {
        all.push(attempt(format!("a file {bad:?}"), READ, json!({"file_id": bad}), FORM_OR_SCOPE));
        all.push(attempt(format!("a folder {bad:?}"), FOLDER, json!({"folder_id": bad}), FORM_OR_SCOPE));
    }
    let new = |more: Value| {
        let mut file = json!({"folder_id": id("Agent"), "name": "n.txt", "content": "c"});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        file
    };
    for (what, more, must) in [
        ("a file in another folder", json!({"folder_id": private}), SCOPE),
        ("a file in the root", json!({"folder_id": "root"}), SCOPE),
        ("a web page", json!({"mime_type": "text/html"}), FORM),
        ("a document to convert", json!({"mime_type": "application/vnd.google-apps.document"}), FORM),
        ("a sheet to convert", json!({"mime_type": "application/vnd.google-apps.spreadsheet"}), FORM),
        ("a shortcut", json!({"mime_type": "application/vnd.google-apps.shortcut"}), FORM),
        ("a header in the type", json!({"mime_type": "text/plain\r\nX: y"}), FORM),
        ("two folders", json!({"parents": [private]}), FORM),
        ("a permission", json!({"permissions": [{"type": "anyone", "role": "reader"}]}), FORM),
        ("a null in the name", json!({"name": "a\u{0}b"}), FORM),
        ("a line in the name", json!({"name": "a\r\nb"}), FORM),
        ("content too long", json!({"content": "x".repeat(200_001)}), FORM),
    ] {
        all.push(attempt(what, CREATE, new(more), must));
    }
    all
}

fn ungranted() -> Vec<Attempt> {
    [
        "gmail.delete_message",
        "gmail.settings",
        "drive.share_file",
        "drive.delete_file",
        "gmail.",
        "drive.emptyTrash",
    ]
    .into_iter()
    .filter(|name| name.parse::<claviger_canonical::ToolName>().is_ok())
    .map(|name| attempt(format!("a tool nobody granted: {name}"), name, json!({}), UNGRANTED))
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_agent_gets_what_its_grants_say() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let mut attempts = mails();
    attempts.extend(labels(&world));
    attempts.extend(searches());
    attempts.extend(files(&world));
    attempts.extend(ungranted());
    assert!(attempts.len() >= 150, "{} attempts", attempts.len());
    let faults = play(&puppet, &attempts).await;
    assert!(faults.is_empty(), "{} of {} attempts:\n{}", faults.len(), attempts.len(), faults.join("\n"));
    let harm = harm::done(&world);
    assert!(harm.is_empty(), "{}", harm.join("\n"));
    // The good calls between them still pass: nothing of this stopped the agent itself.
    puppet.call(SEND, &letter(json!({}))).await.unwrap();
    puppet.call(SEARCH, &json!({"subject": "Invoice"})).await.unwrap();
    assert_eq!(world.google.outbox().len(), 1);
    // Tools that nobody has are refused to everybody.
    attempts.retain(
        |attempt| !matches!(attempt.must, Must::BeRefused(classes) if classes.contains(&"not-granted")),
    );
    control(&world, &attempts, 20).await;
}
