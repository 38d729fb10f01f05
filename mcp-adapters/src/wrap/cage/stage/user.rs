//! Who the cage is: one user, known inside as another.
//!
//! An unprivileged starter gets a user namespace first, and builds the walls with what it may do there. Root builds them as
//! root, becomes nobody, and only then enters a user namespace: so no process of the cage is ever root's, neither by its
//! user nor by what its namespaces belong to.

use std::fs::write;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, capabilities as held};

use super::capabilities;
use super::{During, Fault, Footing};

/// The user and group that the cage sees itself as.
const INSIDE: u32 = 1000;

/// Finds where to build from, and takes that place.
pub(super) fn footing() -> Footing {
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::CHOWN;
    let able = held(None).is_ok_and(|held| held.effective.contains(needed));
    if Uid::effective().is_root() && able && knows_nobody() {
        return Footing::Root;
    }
    match own_namespace(Uid::effective(), Gid::effective()) {
        Ok(()) => match capabilities::carry_over() {
            Ok(()) => Footing::Own,
            Err(fault) => Footing::Missing(fault.to_string()),
        },
        Err(fault) => Footing::Missing(fault.to_string()),
    }
}

/// Root of a container may be the only user there is.
fn knows_nobody() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        map.lines().any(|line| {
            let numbers: Vec<u64> =
                line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            matches!(numbers.as_slice(), [inside, _, count] if *inside <= 65_534 && inside + count > 65_534)
        })
    })
}

/// For root, at the end: becomes `user` for good, without groups.
pub(super) fn become_user(user: u32) -> Result<(), Fault> {
    setgroups(&[]).during("cannot leave root's groups")?;
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    setresgid(gid, gid, gid).during("cannot leave root's group")?;
    setresuid(uid, uid, uid).during("cannot leave root")?;
    Ok(())
}

/// A user namespace in which there is nobody but this user, called [`INSIDE`]. See user_namespaces(7).
pub(super) fn own_namespace(uid: Uid, gid: Gid) -> Result<(), Fault> {
    unshare(CloneFlags::CLONE_NEWUSER).during("no user namespace")?;
    // Who changed users cannot be looked into, and so could not write to its own files in /proc.
    set_dumpable_behavior(DumpableBehavior::Dumpable).during("cannot reach /proc/self")?;
    write("/proc/self/setgroups", "deny").during("cannot give up groups")?;
    write("/proc/self/uid_map", format!("{INSIDE} {uid} 1")).during("cannot map the user")?;
    write("/proc/self/gid_map", format!("{INSIDE} {gid} 1")).during("cannot map the group")?;
    Ok(())
}
