//! Keeping the process out of core dumps and away from debuggers.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes the process not dumpable and sets its core limit to zero, for good.
///
/// Not dumpable (`PR_SET_DUMPABLE`, prctl(2)) also means that no other process of the same user may trace it or read
/// its memory through `/proc`. An `exec` makes a process dumpable again, so each start calls this first. The core limit
/// is lowered together with its ceiling, which `exec` keeps.
///
/// # Errors
/// What the kernel answered. A vault that cannot be hardened must not unseal.
pub fn harden() -> std::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn no_core_and_no_debugger() {
        harden().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
        assert!(
            setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) }).is_err()
                || running_as_root()
        );
    }

    fn running_as_root() -> bool {
        rustix::process::geteuid().is_root()
    }
}
