//! How much of the machine a cage may take, by setrlimit(2), and who goes first when memory runs out.

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use super::{During, Fault};
use crate::wrap::cage::plan::Limits;

/// Before `/proc` is the cage's: when the machine has no memory left, the kernel ends this one first. Inherited.
pub(super) fn go_first() {
    // Raising is nobody's privilege. Where it cannot be written, the kernel chooses by size.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Sets every limit, soft and hard. Never raises one.
pub(super) fn set(limits: &Limits) -> Result<(), Fault> {
    let all = [
        (Resource::Nproc, limits.processes),
        (Resource::Nofile, limits.files),
        // What it may write and has to itself. Not the address space: node and others reserve much that they never touch.
        (Resource::Data, limits.memory),
        (Resource::Fsize, limits.file),
        (Resource::Core, 0),
        (Resource::Memlock, 64 << 10),
        (Resource::Msgqueue, 0),
        (Resource::Sigpending, 1024),
        (Resource::Rtprio, 0),
        (Resource::Nice, 0),
        (Resource::Locks, 1024),
    ];
    for (resource, most) in all.into_iter().chain(limits.cpu.map(|seconds| (Resource::Cpu, seconds))) {
        let now = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = most.min(now);
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .during(format_args!("cannot set the limit {resource:?}"))?;
    }
    // Whoever else wants the processor has it first.
    let _ = nice(5);
    Ok(())
}
