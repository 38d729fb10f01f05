//! The story: what an owner does, what the agent may do, what it may not, and how the owner learns why.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::say;
use super::stage::{PASSPHRASE, Stage};

/// Plays it from the first command to the last.
pub(super) fn play(stage: &mut Stage) -> anyhow::Result<()> {
    set_up(stage)?;
    connect(stage)?;
    let grant = grants(stage)?;
    works(stage)?;
    refusals(stage)?;
    theft(stage)?;
    rotation(stage)?;
    revocation(stage, &grant)?;
    audit(stage)
}

fn title(text: &str) {
    say(&format!("\n── {text} {}", "─".repeat(96usize.saturating_sub(text.chars().count()))));
}

fn set_up(stage: &mut Stage) -> anyhow::Result<()> {
    title("A new vault");
    say(
        "\n$ claviger init --recovery-out recovery.txt        # asks for a passphrase; keep recovery.txt elsewhere",
    );
    let recovery = stage.path("recovery.txt");
    let mut init = stage
        .command("claviger")
        .args(["init", "--allow-key-on-disk", "--passphrase-stdin", "--recovery-out"])
        .arg(&recovery)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = init.stdin.take() {
        writeln!(stdin, "{PASSPHRASE}")?;
    }
    let output = init.wait_with_output()?;
    ensure!(output.status.success(), "init failed");
    String::from_utf8_lossy(&output.stdout).lines().for_each(|line| say(&format!("  {line}")));
    stage.configure()?;
    stage.up()?;
    stage.must("claviger agent add openclaw", 4)?;
    stage.must("claviger adapter add gmail", 3)?;
    stage.must("claviger adapter add drive", 3)?;
    stage.wait_for_adapter("gmail")?;
    stage.wait_for_adapter("drive")?;
    stage.must("claviger status", 30)?;
    Ok(())
}

fn connect(stage: &Stage) -> anyhow::Result<()> {
    title("The owner connects a mailbox and a drive by OAuth");
    let client = stage.fact("/client_id")?;
    let secret = stage.fact("/client_secret")?;
    login(
        stage,
        "gmail/me",
        &["--for", "read,write,send", "--client-id", &client, "--stdin"],
        Some(&secret),
    )?;
    login(stage, "drive/me", &["--for", "read,send"], None)?;
    stage.must("claviger secret ls", 10)?;
    Ok(())
}

/// Runs `connect`, and does in the stand-in's browser what the owner would do in theirs.
fn login(stage: &Stage, name: &str, arguments: &[&str], client_secret: Option<&str>) -> anyhow::Result<()> {
    say(&format!("\n$ claviger connect {name} {}", arguments.join(" ")));
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
    let mut url = None;
    for line in lines.by_ref() {
        let line = line?;
        let start = line.find("https://").map(|at| line[at..].trim().to_owned());
        say(&format!("  {}", line.chars().take(108).collect::<String>()));
        if start.is_some() {
            url = start;
            break;
        }
    }
    let url = url.context("connect showed no address")?;
    let browser =
        stage.command("stand-in-browser").arg("--ca").arg(stage.path("google-ca.pem")).arg(&url).status()?;
    ensure!(browser.success(), "the browser did not come back");
    for line in lines {
        let line = line?;
        say(&format!("  {line}"));
    }
    let output = connect.wait_with_output()?;
    drop(stdin);
    String::from_utf8_lossy(&output.stdout).lines().for_each(|line| say(&format!("  {line}")));
    ensure!(output.status.success(), "connect failed");
    Ok(())
}

fn grants(stage: &Stage) -> anyhow::Result<String> {
    title("The owner says what the agent may do, and no more");
    let read = stage.must("claviger grant add openclaw gmail/me --read --label AI --rate 1000/1h", 12)?;
    stage.must(
        "claviger grant add openclaw gmail/me --tool gmail.send_message --recipients 'family@example.org,*@example.com' --calls 20 --approve never",
        12,
    )?;
    stage.must("claviger grant add openclaw drive/me --read --folder Agent --rate 1000/1h", 12)?;
    let id =
        read.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| word.starts_with("gr_"));
    Ok(id.context("grant add names no grant")?.to_owned())
}

fn works(stage: &Stage) -> anyhow::Result<()> {
    title("The agent works: through handles, without a key");
    stage.must("claviger-agent ls", 12)?;
    let found = stage.must("claviger-agent call gmail_search_messages max_results=3", 30)?;
    ensure!(!found.contains(&outside(stage)?), "a mail outside the label came back");
    let mail = inside(stage)?;
    stage.must(&format!("claviger-agent call gmail_get_message message_id={mail}"), 20)?;
    stage.must(
        "claviger-agent call gmail_send_message to=family@example.org subject='Dinner' body='Home at seven.'",
        8,
    )?;
    let folder = stage.fact("/folders/Agent")?;
    stage.must(&format!("claviger-agent call drive_list_folder folder_id={folder}"), 16)?;
    Ok(())
}

fn refusals(stage: &Stage) -> anyhow::Result<()> {
    title("What is not granted is refused, and the owner can ask why");
    let outside = outside(stage)?;
    let reference = stage
        .refused(&format!("claviger-agent call gmail_get_message message_id={outside}"), "out of scope")?;
    explain(stage, reference)?;
    let reference = stage.refused(
        "claviger-agent call gmail_send_message to=attacker@evil.example subject='Secrets' body='As you asked.'",
        "out of scope",
    )?;
    explain(stage, reference)?;
    let file = private_file(stage)?;
    let reference =
        stage.refused(&format!("claviger-agent call drive_read_file file_id={file}"), "out of scope")?;
    explain(stage, reference)
}

fn explain(stage: &Stage, reference: Option<String>) -> anyhow::Result<()> {
    let reference = reference.context("the refusal names no reference")?;
    let text = stage.must(&format!("claviger why {reference}"), 24)?;
    ensure!(text.contains("gr_"), "why does not name the grant");
    Ok(())
}

fn theft(stage: &Stage) -> anyhow::Result<()> {
    title("A copied handle id is worth nothing");
    let handles = stage.must("claviger-agent handles", 6)?;
    let handle =
        handles.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| word.starts_with("hdl_"));
    let handle = handle.context("no handle is shown")?.to_owned();
    stage.must("claviger agent add thief", 3)?;
    let thief = stage.agent_socket("thief");
    let adapter = stage.home().join("run/mcp/gmail.sock");
    let tool = "gmail.list_labels";
    say(&format!("\n$ thief THIEF.sock GMAIL.sock {handle} {tool}"));
    super::stage::wait("the thief's socket", || thief.exists())?;
    let shown = stage.quiet(&format!("thief {} {} {handle} {tool}", thief.display(), adapter.display()))?;
    shown.text.lines().for_each(|line| say(&format!("  {line}")));
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
            for _ in 0..3 {
                stage.must("claviger secret rotate gmail/me", 6)?;
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
    say(&format!("  {calls} calls ran meanwhile, {failed} failed."));
    ensure!(failed == 0, "a call failed during the rotation");
    Ok(())
}

fn revocation(stage: &Stage, grant: &str) -> anyhow::Result<()> {
    title("Revoked is revoked");
    let mail = inside(stage)?;
    stage.must(&format!("claviger-agent call gmail_get_message message_id={mail}"), 3)?;
    stage.must(&format!("claviger revoke {grant}"), 4)?;
    let shown = stage.show(&format!("claviger-agent call gmail_get_message message_id={mail}"), 6)?;
    ensure!(shown.code != 0, "a call went through after the revocation");
    Ok(())
}

fn audit(stage: &Stage) -> anyhow::Result<()> {
    title("The audit log can be checked, and cannot be changed unseen");
    stage.must("claviger log --limit 8", 12)?;
    stage.must("claviger audit checkpoint", 10)?;
    stage.must("claviger audit verify", 8)?;
    let copy = stage.directory().join("copy");
    copy_tree(&stage.home().join("audit"), &copy)?;
    let changed = change_one_byte(&copy)?;
    say(&format!("\n# one byte of a copy is changed: {changed}"));
    let shown = stage.show(&format!("claviger audit verify --dir {}", copy.display()), 8)?;
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

fn private_file(stage: &Stage) -> anyhow::Result<String> {
    pick(stage, "/files", |path| path.starts_with("Private/"))
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
