//! Agents that call until everything around them is killed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claviger_agent::{ApprovalId, CallOptions, CallOutcome, ClientError, Session, State, Waited};
use serde_json::{Value, json};

use super::dice::Dice;
use super::ledger::{Answer, Ledger, Wish, now_ms};

/// The longest that a call may take whose vault was killed.
const LONGEST: Duration = Duration::from_secs(30);
/// How many approvals wait at most; the vault allows five.
const WISHES: usize = 3;

/// The sessions of all agents.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// Reads, sends, makes files.
    pub main: Arc<Session>,
    /// Its grants come and go.
    pub door: Arc<Session>,
    /// Has so many calls and no more.
    pub counted: Arc<Session>,
    /// Has so many calls an hour.
    pub rated: Arc<Session>,
}

/// What the callers know of the account.
#[derive(Debug)]
pub struct Account {
    /// The id of the folder in which files are made.
    pub folder: String,
    /// The id of a file of a few hundred KB.
    pub file: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// The agent's own folder.
    pub own: PathBuf,
}

/// One who calls, one call after another.
pub struct Caller {
    pub(super) sessions: Sessions,
    pub(super) account: Arc<Account>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) dice: Dice,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) troubles: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Labels,
    Search,
    Send,
    Make,
    Upload,
    Download,
    Door,
    Counted,
    Rated,
    Wish,
    Collect,
}

const OPS: [(Op, u64); 11] = [
    (Op::Labels, 3),
    (Op::Search, 2),
    (Op::Send, 8),
    (Op::Make, 6),
    (Op::Upload, 3),
    (Op::Download, 2),
    (Op::Door, 5),
    (Op::Counted, 3),
    (Op::Rated, 1),
    (Op::Wish, 3),
    (Op::Collect, 3),
];

impl Caller {
    /// Calls until it is told to stop. Returns what must not be.
    pub async fn run(mut self) -> Vec<String> {
        while !self.stop.load(Ordering::SeqCst) {
            let op = self.dice.pick(&OPS);
            if tokio::time::timeout(LONGEST, self.one(op)).await.is_err() {
                self.troubles.push(format!("{op:?} has no end"));
            }
            tokio::task::yield_now().await;
        }
        self.troubles
    }

    async fn one(&mut self, op: Op) {
        let main = Arc::clone(&self.sessions.main);
        match op {
            Op::Labels => self.read(call(&main, "gmail_list_labels", json!({})).await),
            Op::Search => self.read(call(&main, "gmail_search_messages", json!({"max_results": 3})).await),
            Op::Rated => self.read(call(&self.sessions.rated, "gmail_list_labels", json!({})).await),
            Op::Send => {
                let subject = self.ledger.fresh("mail");
                let letter = letter("mona@example.com", &subject);
                let outcome = call(&main, "gmail_send_message", letter).await;
                self.ledger.answered(&subject, Answer::of(&outcome));
            }
            Op::Make => self.make(&main, "made").await,
            Op::Door => self.make(&Arc::clone(&self.sessions.door), "door").await,
            Op::Counted => self.make(&Arc::clone(&self.sessions.counted), "counted").await,
            Op::Upload => self.upload(&main).await,
            Op::Download => self.download(&main).await,
            Op::Wish => self.wish(&main).await,
            Op::Collect => self.collect(&main).await,
        }
    }

    fn read(&self, outcome: Result<CallOutcome, ClientError>) {
        self.ledger.read(&Answer::of(&outcome));
    }

    async fn make(&self, session: &Session, kind: &str) {
        let name = self.ledger.fresh(kind);
        let args = json!({"folder_id": self.account.folder, "name": name, "content": "a few words"});
        let outcome = call(session, "drive_create_file", args).await;
        self.ledger.answered(&name, Answer::of(&outcome));
    }

    async fn upload(&mut self, session: &Session) {
        let name = self.ledger.fresh("sent");
        let size = 100_000 + self.dice.below(300_000) as usize;
        let path = self.account.own.join(&name);
        std::fs::write(&path, self.dice.bytes(size)).unwrap();
        let args = json!({"folder_id": self.account.folder, "file": name});
        let outcome = call(session, "drive_upload_file", args).await;
        self.ledger.answered(&name, Answer::of(&outcome));
        let _ = std::fs::remove_file(path);
    }

    async fn download(&mut self, session: &Session) {
        let outcome = call(session, "drive_download_file", json!({"file_id": self.account.file})).await;
        if let Ok(CallOutcome::Answered(result)) = &outcome
            && Answer::of(&outcome) == Answer::Done
        {
            let told = result.structured_content.as_ref().and_then(|told| told["saved_as"].as_str());
            let path = self.account.own.join(told.unwrap_or("told-nothing"));
            if std::fs::read(&path).ok().as_deref() != Some(&self.account.content[..]) {
                self.troubles.push(format!("a download that was told as done is not whole: {result:?}"));
            }
            let _ = std::fs::remove_file(path);
        }
        self.read(outcome);
    }

    async fn wish(&self, session: &Session) {
        if self.ledger.wishes().values().filter(|wish| !wish.over).count() >= WISHES {
            return;
        }
        let subject = self.ledger.fresh("asked");
        let outcome = call(session, "gmail_send_message", letter("olga@ask.example", &subject)).await;
        if let Ok(CallOutcome::Refused(refusal)) = &outcome
            && let Some(id) = refusal.approval()
        {
            // The admin may have found it already.
            self.ledger.wishes().entry(id.to_owned()).or_default().subject = Some(subject.clone());
        }
        self.ledger.answered(&subject, Answer::of(&outcome));
    }

    async fn collect(&mut self, session: &Session) {
        let chosen = {
            let mut wishes = self.ledger.wishes();
            let mut open: Vec<_> =
                wishes.iter_mut().filter(|(_, wish)| wish.agreed_ms.is_some() && !wish.over).collect();
            let count = open.len() as u64;
            open.get_mut(self.dice.below(count) as usize).map(|(id, wish)| {
                wish.collected += 1;
                ((*id).clone(), (**wish).clone())
            })
        };
        let Some((id, wish)) = chosen else { return };
        let Some(parsed) = ApprovalId::parse(&id) else { return };
        let result = session.result(parsed, &CallOptions::default()).await;
        self.troubles.extend(judge(&self.ledger, &id, &wish, result));
    }
}

/// Notes what came of collecting; returns what must not be.
pub(super) fn judge(
    ledger: &Ledger,
    id: &str,
    wish: &Wish,
    result: Result<Waited, ClientError>,
) -> Option<String> {
    const LIVES_MS: u64 = 9 * 60_000;
    let over = || {
        if let Some(wish) = ledger.wishes().get_mut(id) {
            wish.over = true;
        }
    };
    match result {
        Ok(Waited::Ran(CallOutcome::Refused(refusal))) if refusal.approval().is_some() => {
            // Something has changed since, and the person is asked anew, by another id.
            over();
            None
        }
        Ok(Waited::Ran(outcome)) => {
            let answer = Answer::of(&Ok(outcome));
            if answer == Answer::Done {
                over();
                if let Some(subject) = &wish.subject {
                    ledger.answered(subject, answer);
                }
            }
            None
        }
        Ok(Waited::Told(told)) => {
            let agreed = wish.agreed_ms.unwrap_or(0);
            match told.state {
                State::Done => over(),
                // It was agreed to; and what was agreed to lives ten minutes.
                State::Pending | State::Denied => {
                    return Some(format!("{id} was agreed to at {agreed}, and is {:?}", told.state));
                }
                State::Expired if now_ms() < agreed + LIVES_MS => {
                    return Some(format!("{id} was agreed to at {agreed}, and is over"));
                }
                State::Expired => over(),
                State::Approved => {}
            }
            None
        }
        // Refused as one that there is not.
        Err(ClientError::Refused(refusal)) if refusal.class() == "not-granted" => {
            Some(format!("{id} was agreed to, and is not there: {refusal:?}"))
        }
        Err(_) => None,
    }
}

/// A call by the agent's library, of arguments that are an object.
pub(super) async fn call(session: &Session, tool: &str, args: Value) -> Result<CallOutcome, ClientError> {
    let Value::Object(args) = args else { unreachable!("arguments are an object") };
    session.call(tool, args).await
}

/// A short mail.
pub(super) fn letter(to: &str, subject: &str) -> Value {
    json!({"to": [to], "subject": subject, "body": "A line."})
}
