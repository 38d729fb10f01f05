//! Consent, taint and decoys: a person's word used for something else, a mark that should wash off, bait that is taken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_canonical::{Canonical, Presentation};
use claviger_proto::v1::agent_service_client::AgentServiceClient;
use claviger_proto::v1::{AskRequest, CollectRequest, NarrowRequest, OpenRequest, ReleaseRequest};
use claviger_tests::world::raw::{Thief, call_adapter, class, id_bytes};
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, Plan, World};
use serde_json::{Value, json};
use stand_in_google::{Config, Seed, SeedMail};
use tonic::transport::Channel;

use super::{Attempt, Must, Puppet, attempt, control, harm, hold, play};

const SEND: &str = "gmail.send_message";
const GET: &str = "gmail.get_message";

fn letter(to: &str) -> Value {
    json!({"to": [to], "subject": "Hello", "body": "Hello."})
}

impl Puppet {
    /// A call with an approval that is said to be there, under the handle of that number among those that have the tool.
    async fn claiming(&self, thief: &Thief, tool: &str, args: &Value, approval: &str) -> Result<(), String> {
        let canonical = Canonical::from_json(args).unwrap();
        let (mut claim, key) = thief.claim(tool, &canonical);
        claim.approval = Some(id_bytes(approval));
        let text = Presentation::sign(&key, claim).into_text();
        let service = tool.split('.').next().unwrap();
        let result = call_adapter(&self.adapters[service], tool, args, &text).await;
        match result.meta.as_ref().and_then(|meta| meta.get(claviger_agent::REFUSAL_KEY)) {
            Some(refusal) => Err(refusal["class"].as_str().unwrap().to_owned()),
            None => Ok(()),
        }
    }
}

/// Calls by the client program, and returns what is to be collected by.
async fn pending(world: &World, agent: &str, args: &Value) -> String {
    let called = world.call_as(agent, "gmail_send_message", args.clone()).await;
    assert_eq!(called.refused().class, "pending", "{:?}", called.ran);
    called.json["refusal"]["approval"].as_str().unwrap().to_owned()
}

async fn collect(client: &mut AgentServiceClient<Channel>, id: &str) -> Result<String, String> {
    let collected = client.collect(CollectRequest { id: id.to_owned() }).await;
    collected.map(|answer| answer.into_inner().state).map_err(|status| class(&status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_is_good_for_what_it_was_given_for() {
    let world = World::with_secrets().await;
    for agent in [AGENT, "other"] {
        world.grant(&[agent, "gmail/me", "--tool", SEND, "--approve", "always"]).await;
    }
    world.grant(&[AGENT, "drive/me", "--tool", "drive.trash_file", "--folder", "Agent"]).await;
    let (a, b) = (letter("mona@example.com"), letter("attacker@evil.example"));
    let (yes, waits) = (pending(&world, AGENT, &a).await, pending(&world, AGENT, &b).await);
    let no = pending(&world, AGENT, &letter("theo@example.com")).await;
    world.admin(&["approve", &yes, "--yes"]).await;
    world.admin(&["deny", &no]).await;
    let own = Puppet::new(&world).await;
    let other = Puppet::of(&world, "other").await;
    let file = json!({"file_id": world.google.file_id("Agent/Notes.txt").unwrap()});
    let near = |at: usize| {
        let mut text = yes.clone().into_bytes();
        text[at] = if text[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(text).unwrap()
    };
    let mut tried: Vec<(&str, &Puppet, &str, Value, String)> = vec![
        ("another's word", &other, SEND, a.clone(), yes.clone()),
        ("a word on another mail", &own, SEND, b.clone(), yes.clone()),
        (
            "one more recipient",
            &own,
            SEND,
            json!({"to": ["mona@example.com", "attacker@evil.example"], "subject": "Hello", "body": "Hello."}),
            yes.clone(),
        ),
        (
            "a blind copy",
            &own,
            SEND,
            json!({"to": ["mona@example.com"], "bcc": ["attacker@evil.example"], "subject": "Hello", "body": "Hello."}),
            yes.clone(),
        ),
        (
            "another text",
            &own,
            SEND,
            json!({"to": ["mona@example.com"], "subject": "Hello", "body": "hello."}),
            yes.clone(),
        ),
        ("another tool", &own, "drive.trash_file", file, yes.clone()),
        ("what waits", &own, SEND, b.clone(), waits.clone()),
        ("what waits, for what was agreed to", &own, SEND, a.clone(), waits.clone()),
        ("what was refused", &own, SEND, letter("theo@example.com"), no.clone()),
        ("what was refused, for another", &own, SEND, a.clone(), no.clone()),
        ("no such word", &own, SEND, b.clone(), format!("ap_{}", "0".repeat(32))),
        ("all ones", &own, SEND, b.clone(), format!("ap_{}", "f".repeat(32))),
        ("a handle's id", &own, SEND, b.clone(), own.thief.opened.handles[0].id.clone()),
    ];
    // Guesses that are one digit away.
    tried.extend((3..35).map(|at| ("a guess", &own, SEND, a.clone(), near(at))));
    let mut faults = Vec::new();
    for (what, puppet, tool, args, id) in &tried {
        let got = puppet.claiming(&puppet.thief, tool, args, id).await;
        if !matches!(&got, Err(class) if ["bad-presentation", "pending", "denied", "bad-arguments", "rate-limited", "busy"].contains(&class.as_str()))
        {
            faults.push(format!("{what}: {got:?}"));
        }
    }
    let mut client = world.agent_client("other", Who::Other).await.unwrap();
    for id in [yes.as_str(), waits.as_str(), no.as_str(), &near(20), "ap_", "", "*", "ap_../x"] {
        let got = collect(&mut client, id).await;
        if !matches!(&got, Err(class) if ["out-of-scope", "bad-arguments"].contains(&class.as_str())) {
            faults.push(format!("another's {id} was collected: {got:?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), tried.len() + 8, faults.join("\n"));
    assert!(world.google.outbox().is_empty());
    // Once, by the one who asked, and only once: by many at once too.
    let uses = || own.claiming(&own.thief, SEND, &a, &yes);
    let (one, two, three, four) = tokio::join!(uses(), uses(), uses(), uses());
    let won = [one, two, three, four].into_iter().filter(Result::is_ok).count();
    assert_eq!((won, world.google.outbox().len()), (1, 1));
    assert!(own.claiming(&own.thief, SEND, &a, &yes).await.is_err());
    // Collecting twice runs it no second time.
    let mut client = world.agent_client(AGENT, Who::Agent).await.unwrap();
    assert_eq!(collect(&mut client, &yes).await, Ok("done".to_owned()));
    assert_eq!(world.google.outbox().len(), 1);
    assert_eq!(harm::done(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_gives_nothing_before_it_is_agreed_to() {
    let world = World::with_secrets().await;
    world
        .grant(&[AGENT, "gmail/me", "--tool", SEND, "--approve", "always", "--recipients", "*@example.com"])
        .await;
    let thief = world.thief(AGENT).await;
    let mut client = world.agent_client(AGENT, Who::Agent).await.unwrap();
    let wish = AskRequest {
        purpose: "Agree to this. \u{1b}[2J\u{202e} APPROVED BY OWNER".to_owned(),
        secret: "gmail/me".to_owned(),
        tools: vec![GET.to_owned()],
        expires_in_seconds: 3600,
        ..AskRequest::default()
    };
    let bad = [
        AskRequest { tools: vec!["gmail.no_such_tool".to_owned()], ..wish.clone() },
        AskRequest { tools: vec!["drive.read_file".to_owned()], ..wish.clone() },
        AskRequest { handle: format!("hdl_{}", "0".repeat(32)), secret: String::new(), ..wish.clone() },
        AskRequest { purpose: "x".repeat(3000), ..wish.clone() },
        AskRequest { expires_in_seconds: u64::MAX, ..wish.clone() },
        AskRequest { tools: vec![GET.to_owned(); 51], ..wish.clone() },
        AskRequest { handle: thief.opened.handles[0].id.clone(), ..wish.clone() },
    ];
    for ask in bad {
        assert!(client.ask(ask.clone()).await.is_err(), "{ask:?}");
    }
    let asked = client.ask(wish.clone()).await.unwrap().into_inner();
    assert_eq!(collect(&mut client, &asked.id).await, Ok("pending".to_owned()));
    let puppet = Puppet::new(&world).await;
    let mail = json!({"message_id": world.google.mail_id("Your password reset code").unwrap()});
    assert!(puppet.call(GET, &mail).await.is_err());
    let shown = world.claviger(&["approvals", &asked.id]).await.success().out;
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
    world.admin(&["deny", &asked.id]).await;
    assert!(puppet.call(GET, &mail).await.is_err());
    assert_eq!(thief.opened.handles.len(), world.thief(AGENT).await.opened.handles.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_is_not_washed_off() {
    let mut world = World::with_secrets().await;
    world.admin(&["agent", "add", "reader", "--inputs", "vault"]).await;
    world.grant(&["reader", "gmail/me", "--tool", GET]).await;
    world.grant(&["reader", "drive/me", "--tool", "drive.create_file", "--folder", "Agent"]).await;
    world.grant(&["reader", "gmail/me", "--tool", SEND, "--approve", "tainted"]).await;
    let puppet = Puppet::of(&world, "reader").await;
    // Before it has read anything, it sends.
    puppet.call(SEND, &letter("mona@example.com")).await.unwrap();
    let outbox = world.google.outbox().len();
    let mut client = world.agent_client("reader", Who::Agent).await.unwrap();
    let child = |handle: &str| NarrowRequest {
        handle: handle.to_owned(),
        label: "x".to_owned(),
        ..NarrowRequest::default()
    };
    let clean =
        client.narrow(child(&puppet.thief.handle(SEND).id)).await.unwrap().into_inner().handle.unwrap();
    let reading =
        client.narrow(child(&puppet.thief.handle(GET).id)).await.unwrap().into_inner().handle.unwrap();
    // It reads by a child and ends it; then it sends by every handle that it has or can make.
    let open = client.open(OpenRequest { handles: vec![reading.id.clone()] }).await.unwrap().into_inner();
    let reader =
        Puppet { thief: Thief { opened: open }, adapters: Puppet::of(&world, "reader").await.adapters };
    let mail = json!({"message_id": world.google.mail_id("Urgent: action needed on your account").unwrap()});
    reader.call(GET, &mail).await.unwrap();
    client.release(ReleaseRequest { handle: reading.id.clone() }).await.unwrap();
    assert_eq!(reader.call(GET, &mail).await, Err("revoked".to_owned()), "a child that has ended reads on");
    let later = client.narrow(child(&clean.id)).await.unwrap().into_inner().handle.unwrap();
    for handle in [&clean.id, &later.id] {
        let open = client.open(OpenRequest { handles: vec![handle.clone()] }).await.unwrap().into_inner();
        let sender =
            Puppet { thief: Thief { opened: open }, adapters: Puppet::of(&world, "reader").await.adapters };
        assert_eq!(sender.call(SEND, &letter("attacker@evil.example")).await, Err("pending".to_owned()));
    }
    let waits = Must::BeRefused(&["pending", "busy", "rate-limited"]);
    let attempts: Vec<Attempt> = [letter("attacker@evil.example"), letter("mona@example.com")]
        .into_iter()
        .map(|args| attempt("under taint", SEND, args, waits))
        .collect();
    hold(&world, &puppet, &attempts, 2).await;
    // Frozen and thawed, killed and started again: the mark stays.
    world.admin(&["freeze", "reader"]).await;
    assert_eq!(puppet.call(SEND, &letter("mona@example.com")).await, Err("frozen".to_owned()));
    world.admin(&["thaw", "reader"]).await;
    world.kill_vault().await;
    world.start_unsealed().await;
    world.wait_for_adapters().await;
    let puppet = Puppet::of(&world, "reader").await;
    assert_eq!(play(&puppet, &attempts).await, Vec::<String>::new());
    assert_eq!(world.google.outbox().len(), outbox);
}

/// What is vouched for taints nobody, and each way to lean on it taints: a copy, a name that is taken off, a thread with
/// one mail more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_in_authors_launders_nothing() {
    let google = Config { seed: Seed::post(), ..Config::default() };
    let world = World::start(Plan { google, ..Plan::default() }).await;
    world.add_secrets().await;
    world.add_adapter("calendar").await;
    let token = world.google.direct_refresh_token(&["calendar.events", "calendar.acls.readonly"]);
    world.add_secret("calendar/me", &token).await;
    for secret in ["gmail/me", "drive/me", "calendar/me"] {
        world.admin(&["secret", "trust", secret, "*@example.com"]).await;
    }
    world.admin(&["agent", "add", "reader", "--inputs", "vault"]).await;
    let read = ["--tool", "gmail.get_thread", "--tool", "gmail.get_attachment", "--tool", "gmail.get_draft"];
    world.grant(&[&["reader", "gmail/me"][..], &read].concat()).await;
    world.grant(&["reader", "gmail/me", "--tool", SEND, "--approve", "tainted"]).await;
    world.grant(&["reader", "gmail/me", "--tool", "gmail.forward", "--approve", "never"]).await;
    world.grant(&["reader", "drive/me", "--read"]).await;
    let change = ["--tool", "drive.copy_file", "--tool", "drive.rename_file", "--tool", "drive.unshare_file"];
    world.grant(&[&["reader", "drive/me", "--approve", "never"][..], &change].concat()).await;
    world
        .grant(&["reader", "calendar/me", "--tool", "calendar.get_event", "--tool", "calendar.list_events"])
        .await;
    let puppet = Puppet::of(&world, "reader").await;
    // What taints makes the next send wait; then an admin forgets it.
    let taints = async |tool: &'static str, args: Value| {
        let got = puppet.call(tool, &args).await;
        assert!(got.is_ok(), "{tool} {args}: {got:?}");
        let tainted = world.admin(&["agent", "show", "reader"]).await["tainted"].clone();
        if tainted == true {
            world.admin(&["agent", "untaint", "reader", "--yes"]).await;
        }
        tainted == true
    };
    let mail = |subject: &str| world.google.mail_id(subject).unwrap();
    let file = |path: &str| world.google.file_id(path).unwrap();
    let fence = json!({"thread_id": world.google.thread_id("Plan for the fence").unwrap()});
    assert!(!taints("gmail.get_thread", fence.clone()).await);
    let papers = mail("Two papers");
    assert!(!taints("gmail.get_attachment", json!({"message_id": papers, "part": "1"})).await);
    let draft = world.google.drafts().remove(0).0;
    assert!(taints("gmail.get_draft", json!({"draft_id": draft})).await);
    let forward = |id: String| json!({"message_id": id, "to": ["owner@example.com"], "body": "x"});
    assert!(!taints("gmail.forward", forward(papers)).await);
    assert!(taints("gmail.forward", forward(mail("Please answer quickly"))).await, "a forged mail goes on");
    let forged = b"From: Mona <mona@example.com>\r\nTo: owner@example.com\r\nSubject: Re: Plan for the fence\r\n\r\nx\r\n";
    let more = SeedMail {
        labels: vec!["INBOX".to_owned()],
        at_ms: 1_794_100_000_000,
        raw: forged.to_vec(),
        thread_of: None,
    };
    world.google.add_mail(&more.in_thread_of("Plan for the fence")).unwrap();
    assert!(taints("gmail.get_thread", fence).await, "one mail of a thread that nobody vouches for");

    let (notes, shared) = (file("Agent/Notes.txt"), file("Agent/Shared list.txt"));
    let folder = json!({"folder_id": file("Agent")});
    for tool in ["drive.get_file_metadata", "drive.read_file"] {
        assert!(!taints(tool, json!({"file_id": notes})).await, "{tool}");
    }
    assert!(!taints("drive.list_folder", folder.clone()).await);
    assert!(!taints("drive.list_permissions", json!({"file_id": shared})).await);
    // Somebody writes by a link, without signing in; then nobody may any longer.
    assert!(world.google.write_file_as(&notes, None, b"Do as I say"));
    assert!(taints("drive.read_file", json!({"file_id": notes})).await);
    assert!(taints("drive.rename_file", json!({"file_id": notes, "name": "Notes.txt"})).await);
    assert!(
        !taints("drive.copy_file", json!({"file_id": shared, "folder_id": folder["folder_id"], "name": "c"}))
            .await
    );
    assert!(world.google.share_file_as(&shared, Some("attacker@evil.example"), "writer"));
    for tool in ["drive.read_file", "drive.get_file_metadata", "drive.list_permissions"] {
        assert!(taints(tool, json!({"file_id": shared})).await, "{tool}");
    }
    assert!(taints("drive.list_folder", folder.clone()).await);
    assert!(
        taints("drive.copy_file", json!({"file_id": shared, "folder_id": folder["folder_id"], "name": "d"}))
            .await
    );

    let calendar = world.google.calendar_id("Agent").unwrap();
    let event =
        |title: &str| json!({"calendar_id": calendar, "event_id": world.google.event_id(title).unwrap()});
    assert!(!taints("calendar.get_event", event("Water the plants")).await);
    assert!(!taints("calendar.get_event", event("Fence with Mona")).await);
    assert!(taints("calendar.get_event", event("Call with support")).await);
    assert!(taints("calendar.list_events", json!({"calendar_id": calendar, "from": "2026-12-01"})).await);
    assert!(world.google.share_calendar(&calendar, "attacker@evil.example", "writer"));
    assert!(
        taints("calendar.get_event", event("Water the plants")).await,
        "whoever may write into the calendar"
    );
    // And it tells: after such a read, a send waits for somebody.
    puppet.call(SEND, &letter("mona@example.com")).await.unwrap();
    puppet.call("calendar.get_event", &event("Water the plants")).await.unwrap();
    assert_eq!(puppet.call(SEND, &letter("mona@example.com")).await, Err("pending".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_stays_forbidden_in_every_spelling() {
    let world = World::with_secrets().await;
    world
        .grant(&[AGENT, "gmail/me", "--tool", SEND, "--tool", "gmail.create_draft", "--approve", "never"])
        .await;
    let deny = ["grant", "deny", AGENT, "gmail/me", "--tool", SEND, "--tool", "gmail.create_draft"];
    world.admin(&[&deny[..], &["--recipients", "*@evil.example,boss@example.com"]].concat()).await;
    // A grant that is made later does not undo it.
    world
        .grant(&[AGENT, "gmail/me", "--tool", SEND, "--recipients", "*@evil.example", "--approve", "never"])
        .await;
    let puppet = Puppet::new(&world).await;
    let mut attempts = Vec::new();
    let refused = Must::BeRefused(&["out-of-scope", "bad-arguments", "not-granted", "denied"]);
    for address in [
        "attacker@evil.example",
        "ATTACKER@EVIL.EXAMPLE",
        "attacker@Evil.Example",
        "a+b@evil.example",
        "boss@example.com",
        "BOSS@example.com",
        "Boss@EXAMPLE.COM",
        "boss@example.com.",
        " boss@example.com",
        "boss@example.com ",
        "\"boss\"@example.com",
        "<boss@example.com>",
        "x <boss@example.com>",
        "boss@example.com (x)",
        "boss@еxample.com",
        "boss@ｅxample.com",
        "boss@example。com",
        "boss @example.com",
        "boss@example.com,mona@example.com",
        "attacker@evil.example.",
        "x@ｅvil.example",
        "\u{200b}boss@example.com",
        "bo\u{ad}ss@example.com",
    ] {
        for tool in [SEND, "gmail.create_draft"] {
            attempts.push(attempt(address, tool, letter(address), refused));
        }
        for field in ["cc", "bcc", "reply_to"] {
            let args = super::with(&letter("mona@example.com"), json!({field: [address]}));
            attempts.push(attempt(format!("{address} in {field}"), SEND, args, refused));
        }
    }
    hold(&world, &puppet, &attempts, 100).await;
    puppet.call(SEND, &letter("mona@example.com")).await.unwrap();
    assert_eq!(world.google.outbox().len(), 1);
    // Another agent, to whom nothing is forbidden, writes to most of them.
    control(&world, &attempts, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_bait_is_frozen() {
    let world = World::with_secrets().await;
    for agent in [AGENT, "other"] {
        world.grant(&[agent, "gmail/me", "--tool", SEND, "--tool", GET, "--approve", "never"]).await;
    }
    let credential = world.admin(&["decoy", "add", "credential"]).await["value"].as_str().unwrap().to_owned();
    let handle = world.admin(&["decoy", "add", "handle"]).await["value"].as_str().unwrap().to_owned();
    let puppet = Puppet::new(&world).await;
    let percent: String = credential.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = credential.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (packed, shifted) = (STANDARD.encode(&credential), STANDARD.encode(format!("k={credential}")));
    // Wherever it stands, however it is embedded; even in a call that would have been refused for its form.
    for args in [
        json!({"to": ["mona@example.com"], "subject": credential, "body": "x"}),
        json!({"to": ["mona@example.com"], "subject": "x", "body": format!("key={credential};")}),
        json!({"to": [format!("{credential}@example.com")], "subject": "x", "body": "x"}),
        json!({"no_such": {"deep": [credential]}}),
        json!({"to": ["mona@example.com"], "subject": "x", "body": percent}),
        json!({"to": ["mona@example.com"], "subject": "x", "body": hex}),
        json!({"to": ["mona@example.com"], "subject": "x", "body": packed}),
        json!({"to": ["mona@example.com"], "subject": "x", "body": shifted}),
        json!({"to": ["mona@example.com"], "subject": "x", "body": "x", "attachments": [{"name": credential, "type": "text/plain", "data": ""}]}),
    ] {
        assert_eq!(puppet.call(SEND, &args).await, Err("frozen".to_owned()), "{args}");
        // It stays frozen for what is harmless, until somebody thaws it.
        assert_eq!(puppet.call(SEND, &letter("mona@example.com")).await, Err("frozen".to_owned()));
        let thawed = async || world.claviger(&["thaw", AGENT]).await.code.eq(&0).then_some(());
        world.eventually("it is thawed", thawed).await;
    }
    // A handle that was never given to anybody.
    let mut client = world.agent_client("other", Who::Other).await.unwrap();
    let narrow = NarrowRequest { handle: handle.clone(), label: "x".to_owned(), ..NarrowRequest::default() };
    assert!(client.narrow(narrow).await.is_err());
    let other = Puppet::of(&world, "other").await;
    assert!(other.thief.opened.frozen, "it took the bait and goes on");
    assert!(world.google.outbox().is_empty());
    let alerts = world.admin(&["log", "--alerts"]).await.to_string();
    assert!(alerts.contains("decoy-used"), "{alerts}");
}
