//! Who is at the other end: decided once, when a connection is accepted, from what the kernel says.
//!
//! A peer is a role and a name. How it was recognised stays here: today by the uid of a unix socket; a client
//! certificate would be another [`Door`], and nothing behind this file would change.

use claviger_domain::event::Actor;
use claviger_domain::name::{AdapterName, AgentName};

/// One who may ask, known at accept and never changed after.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An admin, by operating-system user.
    Admin(u32),
    /// An agent's client, with its user.
    Agent(AgentName, u32),
    /// An adapter, with its user.
    Adapter(AdapterName, u32),
}

impl Peer {
    /// Who the audit log says did it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Peer::Admin(uid) => Actor::Admin(*uid),
            Peer::Agent(name, _) => Actor::Agent(name.clone()),
            Peer::Adapter(name, _) => Actor::Adapter(name.clone()),
        }
    }
}

/// Who is registered. The broker knows, sealed or not.
pub trait Registry: Send + Sync {
    /// The agent that runs as that user.
    fn agent_of_uid(&self, uid: u32) -> Option<AgentName>;
    /// The adapter that runs as that user.
    fn adapter_of_uid(&self, uid: u32) -> Option<AdapterName>;
    /// All agents.
    fn agent_names(&self) -> Vec<AgentName>;
    /// All adapters.
    fn adapter_names(&self) -> Vec<AdapterName>;
}

impl Registry for crate::broker::Broker {
    fn agent_of_uid(&self, uid: u32) -> Option<AgentName> {
        crate::broker::Broker::agent_of_uid(self, uid)
    }

    fn adapter_of_uid(&self, uid: u32) -> Option<AdapterName> {
        crate::broker::Broker::adapter_of_uid(self, uid)
    }

    fn agent_names(&self) -> Vec<AgentName> {
        self.agents().into_iter().map(|agent| agent.name).collect()
    }

    fn adapter_names(&self) -> Vec<AdapterName> {
        self.adapters().into_iter().map(|adapter| adapter.name).collect()
    }
}

/// Which users this machine is about.
#[derive(Debug, Clone)]
pub struct Users {
    /// The vault's own.
    pub own: u32,
    /// The one that stands for users the kernel cannot name here; it can be anybody.
    pub overflow: u32,
    /// Who may administer a multi-user vault.
    pub admins: Vec<u32>,
}

/// What a listener is for, and so whom it lets in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Door {
    /// Admins, by their users.
    Admins,
    /// Agents, by their users.
    Agents,
    /// Adapters, by their users.
    Adapters,
    /// Single-user: whoever is the vault's own user is an admin here.
    OnlyAdmin,
    /// Single-user: whoever is the vault's own user is this agent here.
    OnlyAgent(AgentName),
    /// Single-user: whoever is the vault's own user is this adapter here.
    OnlyAdapter(AdapterName),
}

impl Door {
    /// Who a user is at this door; `None` for whom it stays closed.
    ///
    /// A user has one role: one that is registered as agent or adapter is never an admin, whatever else is configured.
    #[must_use]
    pub fn admit(&self, uid: u32, users: &Users, registry: &dyn Registry) -> Option<Peer> {
        if uid == users.overflow || uid == u32::MAX {
            return None;
        }
        let own = uid == users.own;
        match self {
            Door::Admins => {
                let other = registry.agent_of_uid(uid).is_some() || registry.adapter_of_uid(uid).is_some();
                (users.admins.contains(&uid) && !other).then_some(Peer::Admin(uid))
            }
            Door::Agents => registry.agent_of_uid(uid).map(|name| Peer::Agent(name, uid)),
            Door::Adapters => registry.adapter_of_uid(uid).map(|name| Peer::Adapter(name, uid)),
            Door::OnlyAdmin => own.then_some(Peer::Admin(uid)),
            Door::OnlyAgent(name) => {
                (own && registry.agent_names().contains(name)).then(|| Peer::Agent(name.clone(), uid))
            }
            Door::OnlyAdapter(name) => {
                (own && registry.adapter_names().contains(name)).then(|| Peer::Adapter(name.clone(), uid))
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// Peers by uid; those of a single-user vault under any number.
    #[derive(Default)]
    pub(crate) struct Book {
        pub(crate) agents: Mutex<BTreeMap<u32, AgentName>>,
        pub(crate) adapters: Mutex<BTreeMap<u32, AdapterName>>,
    }

    impl Registry for Book {
        fn agent_of_uid(&self, uid: u32) -> Option<AgentName> {
            self.agents.lock().unwrap().get(&uid).cloned()
        }

        fn adapter_of_uid(&self, uid: u32) -> Option<AdapterName> {
            self.adapters.lock().unwrap().get(&uid).cloned()
        }

        fn agent_names(&self) -> Vec<AgentName> {
            self.agents.lock().unwrap().values().cloned().collect()
        }

        fn adapter_names(&self) -> Vec<AdapterName> {
            self.adapters.lock().unwrap().values().cloned().collect()
        }
    }

    #[test]
    fn one_user_one_role() {
        let book = Book::default();
        book.agents.lock().unwrap().insert(2000, "bot".parse().unwrap());
        book.agents.lock().unwrap().insert(1001, "admin-too".parse().unwrap());
        book.adapters.lock().unwrap().insert(3000, "gmail".parse().unwrap());
        book.adapters.lock().unwrap().insert(65534, "nobody".parse().unwrap());
        let users = Users { own: 500, overflow: 65534, admins: vec![1000, 1001, 65534] };
        let bot: AgentName = "bot".parse().unwrap();
        let gmail: AdapterName = "gmail".parse().unwrap();
        let check = |door: Door, uid: u32, expected: Option<Peer>| {
            assert_eq!(door.admit(uid, &users, &book), expected, "{door:?} {uid}");
        };
        check(Door::Admins, 1000, Some(Peer::Admin(1000)));
        check(Door::Admins, 1001, None);
        check(Door::Admins, 0, None);
        check(Door::Admins, 500, None);
        check(Door::Admins, 2000, None);
        check(Door::Admins, 3000, None);
        check(Door::Agents, 2000, Some(Peer::Agent(bot.clone(), 2000)));
        check(Door::Adapters, 3000, Some(Peer::Adapter(gmail.clone(), 3000)));
        for uid in [0, 500, 1000, 3000, 65534, u32::MAX] {
            check(Door::Agents, uid, None);
        }
        for uid in [0, 500, 1000, 2000, 65534, u32::MAX] {
            check(Door::Adapters, uid, None);
        }
        check(Door::OnlyAdmin, 500, Some(Peer::Admin(500)));
        check(Door::OnlyAgent(bot.clone()), 500, Some(Peer::Agent(bot.clone(), 500)));
        check(Door::OnlyAdapter(gmail.clone()), 500, Some(Peer::Adapter(gmail.clone(), 500)));
        for uid in [0, 1000, 2000, 3000, 65534, u32::MAX] {
            check(Door::OnlyAdmin, uid, None);
            check(Door::OnlyAgent(bot.clone()), uid, None);
            check(Door::OnlyAdapter(gmail.clone()), uid, None);
        }
        check(Door::OnlyAgent("gone".parse().unwrap()), 500, None);
        check(Door::OnlyAdapter("gone".parse().unwrap()), 500, None);
    }
}
