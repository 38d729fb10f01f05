//! The `/proc` of a cage: its own processes, and of the kernel's tables the few that runtimes ask for.

use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_bind};

use super::{During, Fault};

/// What is left beside the processes. Programs size themselves by these; links lead to the process that follows them.
const KEPT: [&str; 12] = [
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "mounts",
    "net",
    "self",
    "stat",
    "thread-self",
    "uptime",
    "version",
    "vmstat",
];

/// Mounts a `/proc` for the pid namespace of this process at `at`, and covers all of it that is not kept. `old` is where
/// the machine's root is.
///
/// # Errors
/// The kernel gives no new `/proc` to a user namespace that does not see all of the old one, as in many containers. There is
/// none then.
pub(super) fn own(old: &Path, at: &Path) -> Result<(), Fault> {
    fs::create_dir_all(at).during("cannot make /proc")?;
    // What covers a directory: made beside the cage's root, in memory that nobody writes to.
    let empty = Path::new("/empty");
    fs::create_dir_all(empty).during("cannot make an empty directory")?;
    let closed = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", empty, "tmpfs", closed, c"mode=0555,nr_inodes=2")
        .during("cannot mount an empty directory")?;
    mount("proc", at, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
        .during("the kernel gives no new /proc")?;
    for entry in fs::read_dir(at).during("cannot read /proc")? {
        let entry = entry.during("cannot read /proc")?;
        let name = entry.file_name();
        let kept = name
            .to_str()
            .is_some_and(|name| KEPT.contains(&name) || name.bytes().all(|byte| byte.is_ascii_digit()));
        let kind = entry.file_type().during("cannot read /proc")?;
        if kept || kind.is_symlink() {
            continue;
        }
        let cover = if kind.is_dir() { empty.to_owned() } else { old.join("dev/null") };
        mount_bind(&cover, entry.path()).during(format_args!("cannot cover /proc/{}", name.display()))?;
    }
    Ok(())
}
