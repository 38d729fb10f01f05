//! The processes of a cage as its supervisor sees them: how much memory they have, and that none is left.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// Memory of all descendants that is theirs and not a file's, in bytes. What several share is counted once for each.
///
/// Read from the kernel's list of children (`/proc/PID/task/TID/children`, proc(5)). Orphans are among them: they become
/// children of the first process, or of this one.
pub(super) fn memory() -> u64 {
    descendants().into_iter().map(resident).sum()
}

/// Kills and reaps until there is no child and no orphan left.
pub(super) fn sweep() {
    loop {
        for pid in descendants().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        // Fails when there are no children at all.
        if wait(WaitOptions::empty()).is_err() {
            return;
        }
    }
}

fn descendants() -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut next = vec![getpid().as_raw_pid()];
    while let Some(pid) = next.pop() {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let list = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            // A number that was seen is not looked at again, so this ends.
            next.extend(
                list.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| found.insert(*pid)),
            );
        }
    }
    found
}

fn resident(pid: i32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |status| own_memory(&status))
}

/// The lines of proc(5)'s `status` that say what a process has beside its files, in bytes.
fn own_memory(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let ours = matches!(name, "RssAnon" | "RssShmem" | "VmSwap" | "VmPTE");
            let kib: u64 = ours.then(|| value.trim().strip_suffix(" kB")?.trim().parse().ok())??;
            kib.checked_mul(1024)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::own_memory;

    #[test]
    fn memory_is_what_is_not_a_files() {
        let status = "Name:\tRssAnon: 9 kB\nVmSwap:\t       4 kB\nRssAnon:\t     100 kB\nRssFile:\t    4096 kB\n\
            RssShmem:\t       8 kB\nVmPTE:\t 2 kB\nThreads:\t1\n";
        assert_eq!(own_memory(status), 114 * 1024);
        assert_eq!(own_memory(""), 0);
    }
}
