//! A compromised adapter: it sees the calls that pass by, mints them, and sends what it likes under them.

use claviger_canonical::{Canonical, Presentation};
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use claviger_tests::world::raw::{Thief, class, mint, send};
use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::harm;

pub(super) type Adapter = AdapterServiceClient<Channel>;

const SEARCH: &str = "gmail.search_messages";
const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

/// One request under a capability: what is tried, which step, which parameters.
pub(super) struct Misuse {
    what: String,
    step: &'static str,
    params: Vec<(&'static str, String)>,
}

pub(super) fn misuse(what: impl Into<String>, step: &'static str, params: &[(&'static str, &str)]) -> Misuse {
    let params = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Misuse { what: what.into(), step, params }
}

/// Under a fresh capability of that call, makes one request; the class of the refusal, or the answer.
async fn under(
    adapter: &mut Adapter,
    agent: &Thief,
    call: (&str, &Value),
    misuse: &Misuse,
) -> Result<String, String> {
    let minted = mint(adapter, agent.present(call.0, call.1)).await.map_err(|status| class(&status))?;
    let params: Vec<(&str, &str)> =
        misuse.params.iter().map(|(name, value)| (*name, value.as_str())).collect();
    match send(adapter, &minted.capability, misuse.step, &params).await {
        Ok(answer) => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
        Err(status) => Err(class(&status)),
    }
}

/// What a compromised adapter tries at each call: other steps, and parameters that are not its to give.
pub(super) fn strange(step: &'static str, steps: &[&'static str], params: &[&'static str]) -> Vec<Misuse> {
    let elsewhere = steps.iter().map(|other| misuse(format!("the step {other:?}"), other, &[]));
    let given = params
        .iter()
        .map(|name| misuse(format!("another {name} at {step}"), step, &[(*name, "attacker@evil.example")]));
    elsewhere.chain(given).collect()
}

/// Under a fresh capability of that call for each, makes the requests; what was not refused.
pub(super) async fn abuse(
    adapter: &mut Adapter,
    agent: &Thief,
    call: (&str, &Value),
    misuses: &[Misuse],
) -> Vec<String> {
    let mut faults = Vec::new();
    for misuse in misuses {
        let minted = mint(adapter, agent.present(call.0, call.1)).await;
        let capability = minted.unwrap_or_else(|status| panic!("{call:?}: {status:?}")).capability;
        let params: Vec<(&str, &str)> =
            misuse.params.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let got = send(adapter, &capability, misuse.step, &params).await.map_err(|status| class(&status));
        if !matches!(&got, Err(class) if ["bad-step", "out-of-scope"].contains(&class.as_str())) {
            faults.push(format!("{} ({}): {got:?}", misuse.what, call.0));
        }
    }
    faults
}

const PATHS: [&str; 18] = [
    "",
    ".",
    "..",
    "../../drafts",
    "a/b",
    "..%2f..%2fdrafts",
    "%2e%2e",
    "a?alt=media",
    "a&fields=*",
    "a#",
    "a b",
    "a\u{0}",
    "a\r\nHost: evil.example",
    "https://evil.example/",
    "//evil.example/",
    "me:send",
    "*",
    "18f0000000000000",
];

fn reading() -> Vec<Misuse> {
    let mut all = Vec::new();
    for id in PATHS {
        all.push(misuse(format!("a mail that no answer named: {id:?}"), "summary", &[("message_id", id)]));
        all.push(misuse(format!("a label that is not in scope: {id:?}"), "list", &[("label", id)]));
    }
    for label in [
        "INBOX",
        "TRASH",
        "SPAM",
        "Label_2",
        "label_1",
        "Label_1 ",
        "Label_1,INBOX",
        "Label_1&labelIds=INBOX",
    ] {
        all.push(misuse(format!("the label {label:?}"), "list", &[("label", label)]));
    }
    for step in [
        "",
        "get",
        "send",
        "modify",
        "message_labels",
        "labels",
        "List",
        "list ",
        "list\u{0}",
        "../list",
        "search_messages",
        "delete",
    ] {
        all.push(misuse(format!("the step {step:?}"), step, &[]));
    }
    for name in [
        "q",
        "labelIds",
        "pageToken",
        "page",
        "host",
        "origin",
        "url",
        "path",
        "method",
        "alt",
        "fields",
        "key",
        "userId",
        "Label",
        "label ",
    ] {
        all.push(misuse(format!("a parameter {name:?}"), "list", &[(name, "x")]));
        all.push(misuse(
            format!("a parameter {name:?} beside a good one"),
            "list",
            &[("label", "Label_1"), (name, "x")],
        ));
    }
    all
}

fn sending() -> Vec<Misuse> {
    let mut all = Vec::new();
    for name in [
        "to",
        "cc",
        "bcc",
        "reply_to",
        "subject",
        "body",
        "raw",
        "id",
        "threadId",
        "message_id",
        "label",
        "uploadType",
        "userId",
    ] {
        all.push(misuse(format!("another {name}"), "send", &[(name, "attacker@evil.example")]));
    }
    for step in
        ["list", "get", "modify", "create", "update", "delete", "Send", "send ", "drafts.send", "batch"]
    {
        all.push(misuse(format!("the step {step:?}"), step, &[]));
    }
    all
}

async fn world() -> World {
    let world = World::with_secrets().await;
    let grants: [&[&str]; 3] = [
        &["gmail/me", "--tool", SEARCH, "--tool", GET, "--tool", "gmail.label_message", "--label", "AI"],
        &[
            "gmail/me",
            "--tool",
            SEND,
            "--recipients",
            "*@example.com,family@example.org",
            "--approve",
            "never",
        ],
        &["drive/me", "--tool", "drive.read_file", "--tool", "drive.search_files", "--folder", "Agent"],
    ];
    for grant in grants {
        let line: Vec<&str> = [AGENT].iter().chain(grant).copied().collect();
        world.grant(&line).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_adapter_gets_the_calls_that_pass_by_and_no_more() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut gmail = world.adapter("gmail").await;
    let letter = json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."});
    let inside = world.google.mail_id("Invoice 2026-118 for November").unwrap();
    let (mut tried, mut faults) = (0, Vec::new());
    let refused = ["bad-step", "out-of-scope", "bad-capability"];
    for misuse in reading() {
        tried += 1;
        let got = under(&mut gmail, &agent, (SEARCH, &json!({})), &misuse).await;
        if !matches!(&got, Err(class) if refused.contains(&class.as_str())) {
            faults.push(format!("{}: {got:?}", misuse.what));
        }
    }
    for misuse in sending() {
        tried += 1;
        let got = under(&mut gmail, &agent, (SEND, &letter), &misuse).await;
        if !matches!(&got, Err(class) if refused.contains(&class.as_str())) {
            faults.push(format!("{}: {got:?}", misuse.what));
        }
    }
    assert!(world.google.outbox().is_empty(), "a mail went out by a misuse");
    for (what, got) in presentations(&world, &agent, &mut gmail, &letter, &inside).await {
        tried += 1;
        if got.is_none_or(|class| {
            ![
                "bad-presentation",
                "bad-arguments",
                "not-granted",
                "out-of-scope",
                "stale",
                "revoked",
                "denied",
            ]
            .contains(&class.as_str())
        }) {
            faults.push(what);
        }
    }
    for (what, got) in capabilities(&world, &agent, &mut gmail, &letter).await {
        tried += 1;
        if got.as_deref() != Some("bad-capability") {
            faults.push(format!("{what}: {got:?}"));
        }
    }
    assert!(tried >= 150, "{tried} attempts");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(world.google.outbox().len(), 1, "the one that the agent asked for");
    let harm = harm::done(&world);
    assert!(harm.is_empty(), "{}", harm.join("\n"));
}

/// What becomes of calls that were changed on their way: the class of each refusal, nothing where it was minted.
async fn presentations(
    world: &World,
    agent: &Thief,
    gmail: &mut Adapter,
    letter: &Value,
    inside: &str,
) -> Vec<(String, Option<String>)> {
    let mut results = Vec::new();
    let bytes = |value: &Value| Canonical::from_json(value).unwrap().bytes().to_vec();
    let other = json!({"to": ["attacker@evil.example"], "subject": "Hello", "body": "Hello."});
    let mut bodies: Vec<(String, Vec<u8>)> = vec![
        ("other arguments".to_owned(), bytes(&other)),
        ("no arguments".to_owned(), bytes(&json!({}))),
        ("nothing".to_owned(), Vec::new()),
        ("a space behind".to_owned(), [bytes(letter), b" ".to_vec()].concat()),
        ("a space before".to_owned(), [b" ".to_vec(), bytes(letter)].concat()),
        ("a byte order mark".to_owned(), [vec![0xef, 0xbb, 0xbf], bytes(letter)].concat()),
        ("bytes that are no text".to_owned(), vec![0xff, 0xfe]),
        ("a key twice".to_owned(), br#"{"body":"Hello.","subject":"Hello","to":["mona@example.com"],"to":["attacker@evil.example"]}"#.to_vec()),
        ("an escape".to_owned(), br#"{"body":"Hello.","subject":"Hello","to":["mona\u0040example.com"]}"#.to_vec()),
        ("another order".to_owned(), br#"{"to":["mona@example.com"],"subject":"Hello","body":"Hello."}"#.to_vec()),
    ];
    let deep = "[".repeat(40) + &"]".repeat(40);
    bodies.push(("a deep nest".to_owned(), format!("{{\"to\":{deep}}}").into_bytes()));
    bodies.push(("too much".to_owned(), vec![b' '; 300 << 10]));
    for (what, body) in bodies {
        let (presentation, _) = agent.present("gmail.send_message", letter);
        let got = mint(gmail, (presentation, body)).await.err().map(|status| class(&status));
        results.push((format!("with {what}"), got));
    }
    // Every bit of a good presentation counts.
    let (good, body) = agent.present(SEND, letter);
    for at in (0..good.len()).step_by(7) {
        let mut broken = good.clone().into_bytes();
        broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
        let got = mint(gmail, (String::from_utf8(broken).unwrap(), body.clone())).await.err();
        results.push((format!("with character {at} changed"), got.map(|status| class(&status))));
    }
    let canonical = Canonical::from_json(letter).unwrap();
    type Change = fn(&mut claviger_canonical::Claim);
    let changes: [(&str, Change); 7] = [
        ("an hour old", |claim| claim.issued_at_ms -= 3_600_000),
        ("an hour ahead", |claim| claim.issued_at_ms += 3_600_000),
        ("of another run", |claim| claim.boot = [7; 16]),
        ("of another replica", |claim| claim.replica = [7; 8]),
        ("of another handle", |claim| claim.handle = [7; 16]),
        ("of another tool", |claim| claim.tool = "gmail.get_message".parse().unwrap()),
        ("with an approval nobody gave", |claim| claim.approval = Some([7; 16])),
    ];
    for (what, change) in changes {
        let (mut claim, key) = agent.claim(SEND, &canonical);
        change(&mut claim);
        let text = Presentation::sign(&key, claim).into_text();
        let got = mint(gmail, (text, canonical.bytes().to_vec())).await.err().map(|status| class(&status));
        results.push((format!("a presentation {what}"), got));
    }
    // The other adapter's calls are not its own.
    let mut drive = world.adapter("drive").await;
    let presented = agent.present(GET, &json!({"message_id": inside}));
    results.push((
        "at the wrong adapter".to_owned(),
        mint(&mut drive, presented).await.err().map(|status| class(&status)),
    ));
    results
}

/// What becomes of capabilities that are not good any more, or not one's own.
async fn capabilities(
    world: &World,
    agent: &Thief,
    gmail: &mut Adapter,
    letter: &Value,
) -> Vec<(String, Option<String>)> {
    let mut results = Vec::new();
    let minted = mint(gmail, agent.present(SEND, letter)).await.unwrap();
    let mut drive = world.adapter("drive").await;
    let good = minted.capability;
    let mut tried: Vec<(String, Vec<u8>)> = vec![
        ("an empty one".to_owned(), Vec::new()),
        ("half of it".to_owned(), good[..16].to_vec()),
        ("one byte less".to_owned(), good[..31].to_vec()),
        ("one byte more".to_owned(), [good.clone(), vec![0]].concat()),
        ("zeros".to_owned(), vec![0; 32]),
        ("the halves swapped".to_owned(), [good[16..].to_vec(), good[..16].to_vec()].concat()),
    ];
    for at in (0..32).step_by(5) {
        let mut broken = good.clone();
        broken[at] ^= 1;
        tried.push((format!("byte {at} changed"), broken));
    }
    for (what, capability) in tried {
        let got = send(gmail, &capability, "send", &[]).await.err().map(|status| class(&status));
        results.push((what, got));
    }
    let elsewhere = send(&mut drive, &good, "send", &[]).await.err().map(|status| class(&status));
    results.push(("at another adapter".to_owned(), elsewhere));
    let _ = send(gmail, &good, "send", &[]).await.unwrap();
    let again = send(gmail, &good, "send", &[]).await.err().map(|status| class(&status));
    results.push(("a second time".to_owned(), again));
    results
}
