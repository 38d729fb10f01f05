//! What kind of machine this is, without saying where on it anything lies.

use std::path::Path;

/// How many cores may be used.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The kernel's release.
pub(crate) fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The kind of the filesystem that a path is on, such as `ext4`.
pub(crate) fn filesystem(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // Later mounts hide earlier ones at the same place.
    let found = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((Path::new(fields.next()?), fields.next()?))
        })
        .filter(|(place, _)| path.starts_with(place))
        .max_by_key(|(place, _)| place.components().count());
    found.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

/// The resident memory of a process in MB (10^6 bytes), as the kernel counts it (`VmRSS` of proc(5)).
pub(crate) fn resident_mb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn this_machine_can_be_told() {
        assert!(cores() > 0 && !kernel().is_empty());
        assert_eq!(filesystem(Path::new("/proc")), "proc");
        assert!(resident_mb(std::process::id()).unwrap() > 0.1);
    }
}
