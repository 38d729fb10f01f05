//! Capabilities: what the stages need to build, and that the command has none.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};

use super::{During, Fault};

/// What the first process builds with: mounts and namespaces, the loopback device, and giving capabilities up.
const TO_BUILD: CapabilitySet =
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::NET_ADMIN).union(CapabilitySet::SETPCAP);

/// In a new user namespace: lets the first process, which is not root there, have what it builds with.
pub(super) fn carry_over() -> Result<(), Fault> {
    let held = rustix::thread::capabilities(None).during("cannot see capabilities")?;
    set_capabilities(None, CapabilitySets { inheritable: TO_BUILD, ..held })
        .during("cannot pass on capabilities")?;
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)
        .during("cannot pass on capabilities")?;
    configure_capability_in_ambient_set(CapabilitySet::NET_ADMIN, true)
        .during("cannot pass on capabilities")?;
    configure_capability_in_ambient_set(CapabilitySet::SETPCAP, true).during("cannot pass on capabilities")
}

/// The supervisor, once the first process is there: it may still kill, and read how much memory there is, and no more.
pub(super) fn keep_to_kill() {
    let kept = CapabilitySet::KILL;
    // A supervisor that was never given any has none to give up.
    if let Ok(held) = rustix::thread::capabilities(None) {
        let _ = clear_ambient_capability_set();
        let _ = set_capabilities(
            None,
            CapabilitySets {
                effective: held.permitted & kept,
                permitted: held.permitted & kept,
                inheritable: CapabilitySet::empty(),
            },
        );
    }
}

/// Gives every capability up for good: also those that a program could bring by its file.
///
/// # Errors
/// If one is left in a set. Without the right to change the bounding set (nobody's to begin with), that set is left as it
/// is; `no_new_privs` makes it mean nothing.
pub(super) fn drop_all() -> Result<&'static str, Fault> {
    let mut bounding = true;
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        // The kernel says which numbers it knows.
        if capability_is_in_bounding_set(one).unwrap_or(false) {
            bounding &= remove_capability_from_bounding_set(one).is_ok();
        }
    }
    clear_ambient_capability_set().during("cannot empty the ambient set")?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .during("cannot give up capabilities")?;
    let left = rustix::thread::capabilities(None).during("cannot see capabilities")?;
    if left.effective != none || left.permitted != none || left.inheritable != none {
        return Err(Fault("some capabilities are left".to_owned()));
    }
    Ok(if bounding { "every set is empty" } else { "all but the bounding set are empty" })
}
