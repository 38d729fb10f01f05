//! Alerts: what an owner should look at soon, each of one type, none so often that it drowns the others.
//!
//! What is usual is remembered per agent, bounded, and written now and then: a crash forgets the last minute of it, and
//! then something is told twice, never not at all. The cost at a mint is a few look-ups in memory.

mod habits;

use std::collections::{HashMap, VecDeque};

use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Event, Kind};
use claviger_domain::name::AgentName;
use claviger_domain::refusal::Class;
use claviger_domain::seen::{Party, Seen};

use super::load::UnsealError;
use super::mint::Calling;
use super::persist::Plain;
use super::records::{self, RecentAlert, RecentRecord};
use super::refuse::About;
use super::view::AlertView;
use super::{Broker, lock};
use crate::port::Purpose;
use habits::Habits;

const DAY_MS: u64 = 24 * 3_600_000;

/// How many alerts are kept for the status, and how many of them it shows.
const RECENT: usize = 256;
const SHOWN: usize = 5;

/// How long what changed may wait to be written, in milliseconds.
const SAVE_MS: u64 = 60_000;

const HABITS: &str = "habits/";
const RECENT_KEY: &str = "alerts/recent";

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alert {
    /// Many refusals in a minute.
    DenialBurst,
    /// The first call of a tool under a grant.
    FirstUse,
    /// A send to an address that this agent never wrote to with this secret.
    NewRecipient,
    /// Far more calls in an hour than in any of the last seven days.
    UnusualVolume,
    /// A decoy was used.
    DecoyUsed,
    /// An answer held the credential.
    SecretEchoed,
}

impl Alert {
    fn as_str(self) -> &'static str {
        match self {
            Alert::DenialBurst => "denial-burst",
            Alert::FirstUse => "first-use",
            Alert::NewRecipient => "new-recipient",
            Alert::UnusualVolume => "unusual-volume",
            Alert::DecoyUsed => "decoy-used",
            Alert::SecretEchoed => "secret-echoed",
        }
    }
}

/// What is usual, and what was told.
#[derive(Default)]
pub(super) struct Alerts {
    habits: HashMap<AgentName, Habits>,
    recent: VecDeque<RecentAlert>,
    recent_version: u64,
    recent_unsaved: bool,
    saved_ms: u64,
}

impl Broker {
    /// Looks at a call that was minted: is it one that this agent usually makes?
    pub(super) fn notice(&self, calling: &Calling<'_>, seen: &Seen) {
        self.looks_stand(calling);
        let (Some(agent), Some(secret), Some(grant)) =
            (&calling.about.agent, &calling.about.secret, calling.about.grant)
        else {
            return;
        };
        let mut recipients = Vec::new();
        if seen.effect == Effect::Send {
            let named = calling.tool.steps.iter().flat_map(|step| &step.recipients);
            recipients
                .extend(named.filter_map(|name| calling.args.get(name)).flat_map(|value| value.texts()));
            recipients.extend(seen.people.iter().filter_map(|party| match party {
                Party::Address(address) => Some(address.to_string()),
                Party::Unknown => None,
            }));
        }
        let now_ms = self.now_ms();
        let mut due = Vec::new();
        {
            let mut alerts = lock(&self.alerts);
            let habits = alerts.habits.entry(agent.clone()).or_default();
            habits.unsaved = true;
            let first = habits.first_use(grant, calling.tool.name.tool());
            let unusual = habits.called(now_ms);
            let new = habits.new_recipients(secret, recipients);
            let told = [
                (Alert::FirstUse, first, None),
                (Alert::UnusualVolume, unusual, None),
                (Alert::NewRecipient, !new.is_empty(), Some(new.join(", "))),
            ];
            for (alert, happened, value) in told {
                if happened && let Some(count) = habits.due(alert, now_ms) {
                    due.push((alert, count, value));
                }
            }
        }
        for (alert, count, value) in due {
            let mut detail = Detail::default();
            detail.add("value", value.as_deref());
            self.tell(alert, calling.about, count, detail);
        }
    }

    /// A refusal. That something waits for the owner is none.
    pub(super) fn count_refusal(&self, about: &About, class: Class) {
        let Some(agent) = about.agent.as_ref().filter(|_| class != Class::Pending) else { return };
        if !self.read().agents.contains_key(agent) {
            return;
        }
        let now_ms = self.now_ms();
        let due = {
            let mut alerts = lock(&self.alerts);
            let habits = alerts.habits.entry(agent.clone()).or_default();
            if habits.refused(now_ms) { habits.due(Alert::DenialBurst, now_ms) } else { None }
        };
        if let Some(count) = due {
            self.tell(Alert::DenialBurst, about, count, Detail::default());
        }
    }

    /// An answer held the credential.
    pub(super) async fn alert_echo(&self, about: &About) {
        self.alert_now(Alert::SecretEchoed, about, Detail::default()).await;
    }

    /// What must be told even where the log is full: from the reserve, durable when this returns.
    pub(super) async fn alert_now(&self, alert: Alert, about: &About, detail: Detail) {
        let count = match &about.agent {
            Some(agent) => {
                let now_ms = self.now_ms();
                lock(&self.alerts).habits.entry(agent.clone()).or_default().due(alert, now_ms)
            }
            None => Some(1),
        };
        if let Some(count) = count {
            let event = self.alert_event(alert, about, count);
            if let Err(error) = self.ports.audit.record_from_reserve(event, detail).await {
                tracing::error!(alert = alert.as_str(), %error, "an alert could not be recorded");
            }
        }
    }

    fn tell(&self, alert: Alert, about: &About, count: u64, detail: Detail) {
        let event = self.alert_event(alert, about, count);
        if let Err(error) = self.ports.audit.record_queued(event, detail) {
            tracing::warn!(alert = alert.as_str(), %error, "an alert could not be recorded");
        }
    }

    fn alert_event(&self, alert: Alert, about: &About, count: u64) -> Event {
        let mut event = self.event(Kind::Alert, Actor::Vault);
        about.fill(&mut event);
        event.step = Some(alert.as_str().to_owned());
        event.count = Some(count);
        let mut alerts = lock(&self.alerts);
        alerts.recent.push_front(RecentAlert {
            at_ms: event.at_ms,
            what: alert.as_str().to_owned(),
            agent: about.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
            reference: event.reference.to_string(),
        });
        alerts.recent.truncate(RECENT);
        alerts.recent_unsaved = true;
        event
    }

    /// How many alerts the last day had, at most [`RECENT`], and the newest few.
    pub(super) fn alerts_today(&self) -> (u32, Vec<AlertView>) {
        let since = self.now_ms().saturating_sub(DAY_MS);
        let alerts = lock(&self.alerts);
        let today: Vec<&RecentAlert> = alerts.recent.iter().filter(|alert| alert.at_ms > since).collect();
        let newest = today.iter().take(SHOWN).map(|alert| AlertView {
            at_ms: alert.at_ms,
            what: alert.what.clone(),
            agent: alert.agent.clone(),
            reference: alert.reference.clone(),
        });
        (u32::try_from(today.len()).unwrap_or(u32::MAX), newest.collect())
    }

    /// Reads what is usual, at unseal.
    pub(super) async fn read_habits(&self) -> Result<(), UnsealError> {
        let mut read = Alerts::default();
        for item in self.ports.store.scan(HABITS).await?.1 {
            let name = item.key.trim_start_matches(HABITS);
            let name = name.parse().map_err(|_| UnsealError::Unreadable { key: item.key.clone() })?;
            read.habits.insert(name, Habits::restored(self.read_sealed(&item)?, item.version));
        }
        if let Some(item) = self.ports.store.get(RECENT_KEY).await? {
            let RecentRecord { alerts } = self.read_sealed(&item)?;
            read.recent = alerts.into();
            read.recent_version = item.version;
        }
        *lock(&self.alerts) = read;
        Ok(())
    }

    /// Writes what has changed, at most once a minute.
    pub(super) async fn save_habits(&self) {
        let now_ms = self.now_ms();
        let (habits, recent) = {
            let mut alerts = lock(&self.alerts);
            if now_ms.saturating_sub(alerts.saved_ms) < SAVE_MS {
                return;
            }
            alerts.saved_ms = now_ms;
            let habits: Vec<_> = alerts
                .habits
                .iter_mut()
                .filter_map(|(name, habits)| {
                    std::mem::take(&mut habits.unsaved)
                        .then(|| (name.clone(), habits.version, habits.record()))
                })
                .collect();
            let recent = std::mem::take(&mut alerts.recent_unsaved)
                .then(|| RecentRecord { alerts: alerts.recent.iter().cloned().collect() });
            (habits, recent.map(|recent| (alerts.recent_version, recent)))
        };
        for (name, version, record) in habits {
            let plain = || Plain::Sealed(Purpose::Record, records::encode(&record));
            let saved = self.put_over(&format!("{HABITS}{name}"), version, plain).await;
            if let Some(habits) = lock(&self.alerts).habits.get_mut(&name) {
                match saved {
                    Ok(version) => habits.version = version,
                    Err(_) => habits.unsaved = true,
                }
            }
        }
        if let Some((version, record)) = recent {
            let plain = || Plain::Sealed(Purpose::Record, records::encode(&record));
            let saved = self.put_over(RECENT_KEY, version, plain).await;
            let mut alerts = lock(&self.alerts);
            match saved {
                Ok(version) => alerts.recent_version = version,
                Err(_) => alerts.recent_unsaved = true,
            }
        }
    }

    /// An agent is gone, and its habits with it.
    pub(super) async fn forget_habits(&self, name: &AgentName) {
        let known = lock(&self.alerts).habits.remove(name).map(|habits| habits.version);
        if let Some(version) = known.filter(|version| *version > 0)
            && let Err(error) = self.commit_all(Vec::new(), vec![(format!("{HABITS}{name}"), version)]).await
        {
            tracing::warn!(agent = %name, %error, "what was usual for it is still in the store");
        }
    }
}
