//! Landlock: what of the file system may be opened, for what. See landlock(7).
//!
//! The mounts say the same already. This holds when they have a hole, when a mount namespace is missing, and for what mounts
//! cannot say: that nothing is executed from where it was written, and that no process outside is signalled or looked into.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::mounts::View;
use super::{During, Fault};

/// The newest version whose rights were tried here. Of an older kernel, what it has is used.
const NEWEST: ABI = ABI::V7;

/// Restricts this process and all that come of it. `only_port`: there is no network namespace, and this is the one TCP port
/// to which connections may be made.
///
/// # Errors
/// If the kernel has no Landlock, or it is off.
pub(super) fn close(view: &View, only_port: Option<u16>) -> Result<String, Fault> {
    let refused = "Landlock refused";
    let all = AccessFs::from_all(NEWEST);
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    rules = rules.handle_access(all).during(refused)?.scope(Scope::from_all(NEWEST)).during(refused)?;
    if only_port.is_some() {
        rules = rules.handle_access(AccessNet::from_all(NEWEST)).during(refused)?;
    }
    let mut rules = rules.create().during(refused)?;
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let make = all & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    for (paths, access) in [
        (&view.code, look | AccessFs::Execute),
        (&view.names, BitFlags::from(AccessFs::ReadDir)),
        (&view.read, look),
        (&view.devices, device),
        (&view.write, make),
    ] {
        rules = allow(rules, paths, access)?;
    }
    if let Some(port) = only_port {
        rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp)).during(refused)?;
    }
    let done = rules.restrict_self().during(refused)?;
    if done.ruleset == RulesetStatus::NotEnforced {
        return Err(Fault("the kernel has no Landlock, or it is off".to_owned()));
    }
    Ok(match done.landlock {
        LandlockStatus::Available { effective_abi, .. } => format!("Landlock, {effective_abi:?}"),
        _ => "Landlock".to_owned(),
    })
}

fn allow(
    rules: RulesetCreated,
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Fault> {
    paths.iter().try_fold(rules, |rules, path| {
        let refused = || format!("Landlock refused {}", path.display());
        let file = path.metadata().during(refused())?.is_file();
        // Rights on directories mean nothing for a file.
        let access = if file { access & AccessFs::from_file(NEWEST) } else { access };
        let path = PathFd::new(path).during(refused())?;
        rules.add_rule(PathBeneath::new(path, access)).during(refused())
    })
}
