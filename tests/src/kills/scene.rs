//! One world, and the rounds that it goes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claviger_agent::Folder;
use claviger_proto::v1::{AddAgentRequest, AddGrantRequest, Caveat, Rate, caveat};
use serde_json::{Value, json};
use stand_in_google::{Config, Fault, LoggedRequest, Seed, SeedFile};
use tokio::task::JoinHandle;

use super::admin::{Admin, Fresh, grant};
use super::dice::Dice;
use super::ledger::{Answer, Frost, Ledger};
use super::load::{Account, Caller, Sessions, letter};
use super::uses::{Compared, Forms};
use super::{Counts, DOOR, FILES, MAIL, Victim, check, kill_after, pause};
use crate::world::called::Called;
use crate::world::ran::Ran;
use crate::world::users::Who;
use crate::world::{AGENT, Plan, World};

/// How many call at once.
const CALLERS: usize = 4;
/// How many programs of the agent run at once in a round that kills them.
const CLIENTS: usize = 3;
/// When the seeded file was made, in milliseconds since 1970.
const AT: i64 = 1_794_009_600_000;

/// A world, what was tried in it, and what was found so far.
pub struct Scene {
    pub(super) world: World,
    pub(super) ledger: Arc<Ledger>,
    pub(super) sessions: Sessions,
    account: Arc<Account>,
    folder: Arc<Folder>,
    pub(super) forms: Forms,
    /// All that the service's log ever had.
    pub(super) requests: Vec<LoggedRequest>,
    pub(super) compared: Compared,
    /// The lines of the audit log when something was found that must not be.
    pub(super) audit: Vec<Value>,
    /// The names of files that were there from the start.
    pub(super) seeded: Vec<String>,
    /// The grant of so many calls, and how many.
    pub(super) counted: String,
    pub(super) calls: u64,
    /// The grant of so many calls an hour, and how many.
    pub(super) rated: String,
    pub(super) rate: u64,
    /// How many times a refresh token came back that was replaced.
    pub(super) reuses: usize,
    pub(super) lost_renewals: u64,
    pub(super) made: u64,
}

impl Scene {
    /// A new world for so many rounds.
    pub async fn set(rounds: usize) -> Self {
        let mut seed = Seed::demo();
        let content = Dice::new(1).bytes(300_000);
        let file = SeedFile::new("Agent/Large.bin", "application/octet-stream", "", AT);
        seed.files.push(SeedFile { content: content.clone(), ..file });
        let google = Config { seed, ..Config::default() };
        let world = World::start(Plan { google, ..Plan::default() }).await;
        let [token, _] = world.add_secrets().await;
        world.usual_grants().await;
        let mut admin = world.admin_client(Who::Admin).await.unwrap();
        for name in [DOOR, "counted", "rated"] {
            let agent = AddAgentRequest { name: name.into(), ..AddAgentRequest::default() };
            admin.add_agent(agent).await.unwrap();
        }
        let caveat = |kind| vec![Caveat { kind: Some(kind) }];
        // Used up when some two thirds of the rounds are over.
        let (calls, rate) = (rounds as u64 * 2 / 3 + 2, rounds as u64 / 4 + 2);
        let hourly = Rate { count: rate as u32, per_seconds: 3600 };
        let of_files = |agent: &str, tool: &str| grant(agent, FILES, tool, Vec::new());
        let mut made = Vec::new();
        for wanted in [
            grant("counted", FILES, "drive.create_file", caveat(caveat::Kind::Calls(calls))),
            grant("rated", MAIL, "gmail.list_labels", caveat(caveat::Kind::Rate(hourly))),
            of_files(DOOR, "drive.create_file"),
            of_files(AGENT, "drive.upload_file"),
            AddGrantRequest { approve: "always".into(), ..to_be_asked() },
        ] {
            made.push(admin.add_grant(wanted).await.unwrap().into_inner());
        }
        let ledger = Arc::new(Ledger::default());
        {
            let mut book = ledger.book();
            book.grants.insert(made[2].id.clone(), (made[2].handle.clone(), super::ledger::Fate::Active));
            book.frost = Some(Frost::Thawed);
            book.version = 1;
            book.token = token;
        }
        let own = world.folder();
        let folder = Arc::new(Folder::open(&own).unwrap());
        let account = Account {
            folder: world.google.file_id("Agent").unwrap(),
            file: world.google.file_id("Agent/Large.bin").unwrap(),
            content,
            own,
        };
        let files = world.google.files();
        let seeded = files.iter().filter_map(|path| path.strip_prefix("Agent/")).map(str::to_owned).collect();
        let sessions = open(&world, &folder).await;
        Self {
            sessions,
            ledger,
            account: Arc::new(account),
            folder,
            forms: Forms::read(),
            requests: Vec::new(),
            compared: Compared::default(),
            audit: Vec::new(),
            seeded,
            counted: made[0].id.clone(),
            calls,
            rated: made[1].id.clone(),
            rate,
            reuses: 0,
            lost_renewals: 0,
            made: 0,
            world,
        }
    }

    /// One round: load, a kill, a restart, a look. Returns what must not be.
    pub async fn round(&mut self, dice: &mut Dice, victim: Victim) -> Vec<String> {
        let renews = dice.below(4) == 0;
        self.world.google.set_rotate_refresh(renews);
        self.trouble_the_service(dice);
        // Half of the callers have been there since the world began, half come anew.
        let anew = open(&self.world, &self.folder).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks: Vec<JoinHandle<Vec<String>>> = Vec::new();
        for number in 0..CALLERS {
            let sessions = if number % 2 == 0 { self.sessions.clone() } else { anew.clone() };
            let (account, ledger) = (Arc::clone(&self.account), Arc::clone(&self.ledger));
            let (dice, stop) = (dice.another(), Arc::clone(&stop));
            let caller = Caller { sessions, account, ledger, dice, stop, troubles: Vec::new() };
            tasks.push(tokio::spawn(caller.run()));
        }
        let fresh = Fresh {
            client: (self.world.google.client_id().to_owned(), self.world.google.client_secret().to_owned()),
            tokens: vec![self.world.google.direct_refresh_token(&["gmail.modify", "gmail.send"])],
        };
        let admin = Admin {
            client: self.world.admin_client(Who::Admin).await.unwrap(),
            ledger: Arc::clone(&self.ledger),
            dice: dice.another(),
            fresh,
            renews,
            stop: Arc::clone(&stop),
        };
        tasks.push(tokio::spawn(admin.run()));

        let mut troubles = Vec::new();
        let wait = self.instant(dice).await;
        match victim {
            Victim::Vault => kill_after(wait, vec![self.world.vault_pid()]).await,
            Victim::All => {
                let mut all = vec![self.world.vault_pid()];
                all.extend(self.world.adapter_pids());
                kill_after(wait, all).await;
            }
            Victim::Adapter => {
                let pids = self.world.adapter_pids();
                let one = dice.below(pids.len() as u64) as usize;
                kill_after(wait, vec![pids[one]]).await;
                // The vault goes on, and so do those who call.
                pause(20).await;
            }
            Victim::Client => self.clients(dice).await,
        }
        stop.store(true, Ordering::SeqCst);
        if matches!(victim, Victim::Vault | Victim::All) {
            self.world.kill_vault().await;
        }
        for task in tasks {
            troubles.extend(task.await.unwrap());
        }
        self.world.google.clear_faults();
        if matches!(victim, Victim::Vault | Victim::All) {
            self.world.start_unsealed().await;
        }
        // The vault has begun anew, or is at rest: nothing that comes now is of this round.
        self.requests.extend(self.world.google.take_log());
        troubles.extend(check::all(self).await);
        troubles
    }

    /// Some answers are late, and some get lost.
    fn trouble_the_service(&self, dice: &mut Dice) {
        if dice.below(4) == 0 {
            return;
        }
        for _ in 0..6 {
            let path = dice.pick(&[
                ("/gmail/v1/users/me/messages/send", 4),
                ("/upload/drive", 4),
                ("/token", 2),
                ("/drive/v3/files", 1),
            ]);
            let late = Fault::Slow(dice.micros(40_000));
            let fault = if dice.below(8) == 0 { Fault::LoseAnswer } else { late };
            self.world.google.fault_once(path, fault);
        }
    }

    /// Waits for what the instant of the kill is counted from; returns how long after that it comes.
    async fn instant(&self, dice: &mut Dice) -> Duration {
        match dice.below(4) {
            0 => dice.micros(2_000),
            1 => dice.micros(30_000),
            2 => dice.micros(200_000),
            _ => {
                let (enough, after) = (1 + dice.below(12) as usize, dice.micros(3_000));
                for _ in 0..400 {
                    if self.world.google.arrived() >= enough {
                        break;
                    }
                    pause(1).await;
                }
                after
            }
        }
    }

    /// Programs of the agent that are killed in the middle of a call; those that were quicker have their answer.
    async fn clients(&self, dice: &mut Dice) {
        let mut running = Vec::new();
        for _ in 0..CLIENTS {
            let (tool, name, args) = match dice.below(3) {
                0 => {
                    let name = self.ledger.fresh("made");
                    let args = json!({"folder_id": self.account.folder, "name": name, "content": "Words."});
                    ("drive_create_file", name, args)
                }
                1 => {
                    let name = self.ledger.fresh("sent");
                    std::fs::write(self.account.own.join(&name), dice.bytes(200_000)).unwrap();
                    (
                        "drive_upload_file",
                        name.clone(),
                        json!({"folder_id": self.account.folder, "file": name}),
                    )
                }
                _ => {
                    let name = self.ledger.fresh("mail");
                    ("gmail_send_message", name.clone(), letter("mona@example.com", &name))
                }
            };
            let child = self.world.begin_call(tool, &args);
            running.push((name, child));
        }
        // A program starts, opens, and calls: that takes a while.
        pause(dice.below(150)).await;
        for (_, child) in &running {
            kill_after(dice.micros(10_000), child.id().into_iter().collect()).await;
        }
        for (name, child) in running {
            let output = child.wait_with_output().await.unwrap();
            let ran = Ran {
                line: String::new(),
                code: output.status.code().unwrap_or(-1),
                out: String::from_utf8_lossy(&output.stdout).into_owned(),
                err: String::new(),
            };
            let called = Called::of(ran);
            if called.ran.code == 0 && called.json["ok"] == true {
                self.ledger.answered(&name, Answer::Done);
            }
            let _ = std::fs::remove_file(self.account.own.join(&name));
        }
    }

    /// Keeps the files of this world, with what each side says; returns where.
    pub fn keep(&mut self) -> String {
        let dir = self.world.base().to_owned();
        let requests: String = self
            .requests
            .iter()
            .map(|request| {
                let LoggedRequest { method, path, query, status, at_ms, faulted, .. } = request;
                format!("{at_ms} {method} {path}?{query} {status} {faulted}\n")
            })
            .collect();
        let sent: String = self
            .world
            .google
            .outbox()
            .iter()
            .map(|sent| format!("{} {}\n", sent.at_ms, sent.subject))
            .collect();
        let audit: String = self.audit.iter().map(|line| format!("{line}\n")).collect();
        for (name, text) in [
            ("requests", requests),
            ("outbox", sent),
            ("files", self.world.google.files().join("\n")),
            ("audit", audit),
            ("told", check::told(&self.ledger)),
            ("admin", format!("{:#?}\n{:#?}", self.ledger.book(), self.ledger.wishes())),
        ] {
            let _ = std::fs::write(dir.join(format!("found-{name}")), text);
        }
        self.world.keep();
        dir.display().to_string()
    }

    /// Adds what was done here.
    pub fn add_to(&self, counts: &mut Counts) {
        for answer in self.ledger.things().values() {
            counts.tried += 1;
            match answer {
                Answer::Done => counts.done += 1,
                Answer::Refused(_) => counts.refused += 1,
                Answer::None | Answer::Broken => counts.unclear += 1,
            }
        }
        let book = self.ledger.book();
        counts.made += self.made;
        counts.reads += self.ledger.reads();
        counts.changes += book.told;
        counts.rotations += book.rotations;
        counts.lost_renewals += self.lost_renewals;
        counts.requests += self.compared.requests;
        counts.intents += self.compared.intents;
        counts.unknown += self.compared.unknown;
        counts.not_sent += self.compared.not_sent;
    }

    /// Ends the world.
    pub async fn end(self) {
        drop(self);
        pause(20).await;
    }
}

fn to_be_asked() -> AddGrantRequest {
    let patterns = claviger_proto::v1::Patterns { patterns: vec!["*@ask.example".into()] };
    let only = Caveat { kind: Some(caveat::Kind::Recipients(patterns)) };
    grant(AGENT, MAIL, "gmail.send_message", vec![only])
}

async fn open(world: &World, folder: &Arc<Folder>) -> Sessions {
    let of = async |name: &str| Arc::new(world.session_of(name, Some(Arc::clone(folder))).await);
    Sessions {
        main: of(AGENT).await,
        door: of(DOOR).await,
        counted: of("counted").await,
        rated: of("rated").await,
    }
}
