//! The root of a cage: a small directory in memory on which the system's programs, the named code and a few settings are
//! shown read-only, and the scratch directory to be written.
//!
//! The root of the machine is unmounted whole, so what is not shown here has no name: no path reaches it, and no socket
//! that has one. See pivot_root(2) and mount_namespaces(7).

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::{During, Fault, Footing, proc};
use crate::wrap::cage::plan::{Limits, Order, SYSTEM, Scratch};

/// Where the root of the machine is while the cage's is built, and where the cage's is.
const OLD: &str = "/old";
const NEW: &str = "/new";
/// Settings that programs need and that tell nothing of the machine's owner: certificates, the library cache, names of
/// ports and file types, the time zone, the links of Debian's alternatives.
const SETTINGS: [&str; 15] = [
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/services",
    "/etc/protocols",
    "/etc/alternatives",
];
/// Settings that are the cage's own: one user, one host, no name server.
const OWN: [(&str, &str); 5] = [
    ("etc/passwd", "cage:x:1000:1000::/scratch:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
    ("etc/group", "cage:x:1000:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost cage\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("etc/resolv.conf", "# There is no name server here.\n"),
];
/// Devices that are no hardware.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// `/dev/shm`, in bytes.
const SHARED: u64 = 16 << 20;
/// Of everything but devices: no programs of other users, no devices.
const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What of the file system the cage is meant to have, in its own paths. Landlock holds it to that once more.
#[derive(Debug)]
pub(super) struct View {
    /// Read and executed.
    pub(super) code: Vec<PathBuf>,
    /// Looked at, but not read: the names of what there is.
    pub(super) names: Vec<PathBuf>,
    /// Read.
    pub(super) read: Vec<PathBuf>,
    /// Devices, read and written.
    pub(super) devices: Vec<PathBuf>,
    /// Directories to write in, but not to execute from.
    pub(super) write: Vec<PathBuf>,
    /// Its home and first working directory.
    pub(super) home: PathBuf,
    /// For temporary files.
    pub(super) tmp: PathBuf,
}

impl View {
    /// Without a mount namespace: the same parts of the machine's own root, for Landlock to hold.
    pub(super) fn of_the_machine(order: &Order) -> Result<Self, Fault> {
        let Scratch::Directory(scratch) = &order.scratch else {
            return Err(Fault("there is no scratch directory".to_owned()));
        };
        let there = |paths: &[&str]| -> Vec<PathBuf> {
            paths.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
        };
        Ok(Self {
            code: there(&SYSTEM).into_iter().chain(order.code.iter().map(|(_, real)| real.clone())).collect(),
            names: Vec::new(),
            read: there(&SETTINGS).into_iter().chain(there(&["/etc/nsswitch.conf", "/etc/hosts"])).collect(),
            devices: there(&DEVICES),
            write: vec![scratch.clone()],
            home: scratch.clone(),
            tmp: scratch.clone(),
        })
    }
}

/// Builds the root and moves there. With the answer comes whether there is a `/proc`.
///
/// # Errors
/// Any: half a root is none, and nothing may be started in it.
pub(super) fn build(order: &Order) -> Result<(View, Result<(), Fault>), Fault> {
    // What is mounted here is seen nowhere else, nor the other way round.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("cannot keep mounts here")?;
    stand_aside()?;
    let mut code = system()?;
    settings()?;
    devices(order)?;
    // First: some of the code may be in the machine's /tmp.
    scratch(order)?;
    for (shown, real) in &order.code {
        // What is in a directory that is shown is shown, and a link there leads to what is shown beside it.
        if !code.iter().any(|above| shown.starts_with(above)) {
            show(real, shown, MountFlags::RDONLY)?;
            code.push(shown.clone());
        }
    }
    let proc = proc::own(Path::new(OLD), &Path::new(NEW).join("proc"));
    leave()?;
    let view = View {
        code,
        // Nothing is here that is not shown on purpose.
        names: vec!["/".into()],
        read: vec!["/etc".into(), "/proc".into()],
        devices: DEVICES.iter().map(PathBuf::from).filter(|path| path.exists()).collect(),
        write: vec!["/scratch".into(), "/tmp".into(), "/dev/shm".into()],
        home: "/scratch".into(),
        tmp: "/tmp".into(),
    };
    Ok((view, proc))
}

/// Makes a root in memory with two directories: the machine's, and the cage's to be.
///
/// It is mounted over a directory of the machine for a moment, and that directory is whole again when this returns.
fn stand_aside() -> Result<(), Fault> {
    let base = ["/tmp", "/usr", "/mnt"].map(Path::new).into_iter().find(|path| path.is_dir());
    let base = base.ok_or_else(|| Fault("there is no directory to build on".to_owned()))?;
    memory(base, "mode=0755,size=4m,nr_inodes=8192")?;
    for name in [OLD, NEW] {
        make_directory(&base.join(name.trim_start_matches('/')))?;
    }
    let old = base.join(OLD.trim_start_matches('/'));
    pivot_root(base, &old).during("cannot leave the machine's root")?;
    chdir("/").during("cannot enter the new root")?;
    mount_bind(NEW, NEW).during("cannot prepare the cage's root")
}

/// The system's programs and libraries: directories are shown, links are made anew.
fn system() -> Result<Vec<PathBuf>, Fault> {
    let mut shown = Vec::new();
    for path in SYSTEM.map(Path::new) {
        let Ok(found) = old(path).symlink_metadata() else { continue };
        if found.is_symlink() {
            let target = fs::read_link(old(path)).during(format_args!("cannot read {}", path.display()))?;
            symlink(target, new(path)).during(format_args!("cannot link {}", path.display()))?;
        } else {
            show(path, path, MountFlags::RDONLY)?;
        }
        shown.push(path.to_owned());
    }
    Ok(shown)
}

fn settings() -> Result<(), Fault> {
    for path in SETTINGS.map(Path::new) {
        // Links among them lead into /usr or elsewhere in the machine's root; what they lead to is shown in their place.
        if let Some(real) = resolve(path) {
            show(&real, path, MountFlags::RDONLY | MountFlags::NOEXEC)?;
        }
    }
    for (name, text) in OWN {
        let path = Path::new(NEW).join(name);
        if let Some(parent) = path.parent() {
            make_directory(parent)?;
        }
        write_file(&path, text)?;
    }
    Ok(())
}

fn devices(order: &Order) -> Result<(), Fault> {
    for path in DEVICES.map(Path::new) {
        if old(path).exists() {
            let at = new(path);
            make_file(&at)?;
            mount_bind(old(path), &at).during(format_args!("cannot show {}", path.display()))?;
        }
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        let link = Path::new(NEW).join("dev").join(name);
        symlink(format!("/proc/self/fd{target}"), link).during("cannot link the standard streams")?;
    }
    own_memory(order, "/dev/shm", SHARED)
}

fn scratch(order: &Order) -> Result<(), Fault> {
    own_memory(order, "/tmp", order.limits.scratch)?;
    match &order.scratch {
        Scratch::Memory => own_memory(order, "/scratch", order.limits.scratch),
        Scratch::Directory(path) => {
            let at = Path::new(NEW).join("scratch");
            make_directory(&at)?;
            mount_bind(old(path), &at).during(format_args!("cannot show {}", path.display()))?;
            restrict(&at, MountFlags::NOEXEC)
        }
    }
}

/// A directory in memory that belongs to the cage, with so many bytes.
fn own_memory(order: &Order, path: &str, bytes: u64) -> Result<(), Fault> {
    let at = new(Path::new(path));
    make_directory(&at)?;
    // In a user namespace it belongs to who mounts it.
    let owner =
        if order.footing == Footing::Root { format!(",uid={0},gid={0}", order.user) } else { String::new() };
    let files = nodes(&order.limits);
    memory(&at, &format!("mode=0700,size={bytes},nr_inodes={files}{owner}"))?;
    restrict(&at, MountFlags::NOEXEC)
}

/// Files and directories in memory take some of the kernel's, too: one for each 4 KiB.
fn nodes(limits: &Limits) -> u64 {
    (limits.scratch / 4096).clamp(256, 65_536)
}

/// Leaves the machine's root for good, and closes the cage's own.
fn leave() -> Result<(), Fault> {
    chdir(NEW).during("cannot enter the cage")?;
    pivot_root(".", ".").during("cannot make the cage the root")?;
    // The one under which this stands: with everything that was mounted on it.
    unmount(".", UnmountFlags::DETACH).during("cannot let go of the machine's root")?;
    chdir("/").during("cannot enter the cage")?;
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | PLAIN, "")
        .during("cannot close the cage's root")
}

/// Shows `real` of the machine at `path` of the cage, with whatever is mounted in it.
fn show(real: &Path, path: &Path, flags: MountFlags) -> Result<(), Fault> {
    let (from, at) = (old(real), new(path));
    let what = || format!("cannot show {}", path.display());
    if from.metadata().during(what())?.is_dir() {
        make_directory(&at)?;
    } else {
        make_file(&at)?;
    }
    mount_bind_recursive(&from, &at).during(what())?;
    restrict(&at, flags)
}

/// Adds flags to a mount and to all that are mounted in it. A flag that was there stays: the kernel insists on that.
fn restrict(at: &Path, flags: MountFlags) -> Result<(), Fault> {
    let mounts =
        fs::read_to_string(old(Path::new("/proc/self/mountinfo"))).during("cannot see the mounts")?;
    let mounts = mounts_in(&mounts, at);
    // A link on the way would have led somewhere else.
    if !mounts.iter().any(|(path, _)| path == at) {
        return Err(Fault(format!("{} is not where it was shown", at.display())));
    }
    for (path, had) in mounts {
        mount_remount(&path, MountFlags::BIND | PLAIN | flags | had, "")
            .during(format_args!("cannot restrict {}", path.display()))?;
    }
    Ok(())
}

/// The mounts at and in `at`, with the flags that each has: fields 5 and 6 of proc(5)'s `mountinfo`.
fn mounts_in(mountinfo: &str, at: &Path) -> Vec<(PathBuf, MountFlags)> {
    let one = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        let path = PathBuf::from(unescape(fields.next()?));
        let flags = fields.next()?.split(',').fold(MountFlags::empty(), |flags, name| {
            flags
                | match name {
                    "ro" => MountFlags::RDONLY,
                    "nosuid" => MountFlags::NOSUID,
                    "nodev" => MountFlags::NODEV,
                    "noexec" => MountFlags::NOEXEC,
                    "noatime" => MountFlags::NOATIME,
                    "nodiratime" => MountFlags::NODIRATIME,
                    "relatime" => MountFlags::RELATIME,
                    _ => MountFlags::empty(),
                }
        });
        path.starts_with(at).then_some((path, flags))
    };
    mountinfo.lines().filter_map(one).collect()
}

/// Spaces and the like are written as three octal digits there.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, meant)| text.replace(code, meant))
}

/// What a path of the machine leads to, with its links followed in the machine's root, not in this one.
fn resolve(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    // As many links as the kernel follows.
    for _ in 0..40 {
        let mut walked = PathBuf::from("/");
        let mut parts = path.components().skip(1);
        let mut link = None;
        for part in parts.by_ref() {
            match part {
                std::path::Component::ParentDir => {
                    walked.pop();
                }
                part => walked.push(part),
            }
            if old(&walked).symlink_metadata().ok()?.is_symlink() {
                let target = fs::read_link(old(&walked)).ok()?;
                walked.pop();
                link = Some(walked.join(target));
                break;
            }
        }
        match link {
            None => return Some(walked),
            Some(target) => path = target.join(parts.collect::<PathBuf>()),
        }
    }
    None
}

/// The same path under the machine's root.
fn old(path: &Path) -> PathBuf {
    Path::new(OLD).join(path.strip_prefix("/").unwrap_or(path))
}

/// The same path under the cage's.
fn new(path: &Path) -> PathBuf {
    Path::new(NEW).join(path.strip_prefix("/").unwrap_or(path))
}

fn memory(at: &Path, options: &str) -> Result<(), Fault> {
    let options = CString::new(options).during("no mount options")?;
    mount("tmpfs", at, "tmpfs", PLAIN, options.as_c_str())
        .during(format_args!("cannot mount memory on {}", at.display()))
}

fn make_directory(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).during(format_args!("cannot make {}", path.display()))
}

/// A file to mount on. If there is one, it will do.
fn make_file(path: &Path) -> Result<(), Fault> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    if path.symlink_metadata().is_ok_and(|found| found.size() > 0 || found.is_file()) {
        return Ok(());
    }
    write_file(path, "")
}

fn write_file(path: &Path, text: &str) -> Result<(), Fault> {
    fs::write(path, text).during(format_args!("cannot make {}", path.display()))?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o644))
        .during(format_args!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_with_their_flags() {
        let text = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            31 22 0:5 / /new/usr ro,nosuid,noexec - ext4 x rw\n\
            32 31 0:6 /a /new/usr/my\\040share rw,nodev,noatime shared:3 - tmpfs tmpfs rw\n\
            33 22 0:7 / /new/usrlocal rw - tmpfs tmpfs rw\n\nshort line\n";
        let found = mounts_in(text, Path::new("/new/usr"));
        assert_eq!(
            found,
            [
                ("/new/usr".into(), MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC),
                ("/new/usr/my share".into(), MountFlags::NODEV | MountFlags::NOATIME),
            ]
        );
    }

    #[test]
    fn what_the_kernel_escapes_is_read_back_once() {
        assert_eq!(unescape("a\\040b\\011c\\012d\\134e"), "a b\tc\nd\\e");
        assert_eq!(unescape("\\134040"), "\\040");
    }
}
