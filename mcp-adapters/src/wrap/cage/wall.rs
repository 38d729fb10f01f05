//! The walls by name, whether each holds, and how a cage ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WallKind {
    /// A user namespace that knows one user, who is nobody outside.
    User,
    /// A mount namespace whose root shows the system's programs, the named code and the scratch directory.
    Mounts,
    /// A pid namespace: no process of the outside is seen or signalled, and none survives the cage.
    Processes,
    /// A network namespace with a loopback device and nothing else.
    Network,
    /// System V and POSIX message queues, semaphores and shared memory of its own.
    Ipc,
    /// A host name of its own.
    HostName,
    /// A view of control groups that starts at its own.
    Cgroups,
    /// A `/proc` that knows only the processes of the cage, without the kernel's tables.
    Proc,
    /// Landlock: what may be read, executed and written.
    Files,
    /// seccomp: which system calls there are.
    Calls,
    /// No capability, and none to be had.
    Capabilities,
    /// No program gives more rights than its caller has.
    NoNewPrivileges,
    /// Processes, open files, memory of a process, sizes of files; no core dumps.
    Limits,
    /// The memory of all processes together.
    Memory,
    /// No descriptor but the three pipes.
    Descriptors,
    /// The cage ends with who started it.
    End,
}

impl WallKind {
    /// The wall's name, as people are shown it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Mounts => "mounts",
            Self::Processes => "processes",
            Self::Network => "network",
            Self::Ipc => "ipc",
            Self::HostName => "host-name",
            Self::Cgroups => "cgroups",
            Self::Proc => "proc",
            Self::Files => "files",
            Self::Calls => "calls",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Limits => "limits",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::End => "end",
        }
    }
}

/// One wall of a cage, as it was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Which.
    pub kind: WallKind,
    /// Whether it holds.
    pub holds: bool,
    /// How it holds, or why it does not. A short sentence without a full stop.
    pub why: String,
}

impl Wall {
    pub(super) fn holds(kind: WallKind, why: impl Into<String>) -> Self {
        Self { kind, holds: true, why: why.into() }
    }

    pub(super) fn missing(kind: WallKind, why: impl Into<String>) -> Self {
        Self { kind, holds: false, why: why.into() }
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = if self.holds { "holds" } else { "MISSING" };
        write!(f, "{:<18} {holds:<8} {}", self.kind.name(), self.why)
    }
}

/// How a cage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The command ended by itself with this code; 128 and the signal's number if a signal ended it.
    Code(u8),
    /// Its processes together took more memory than they may, and all were killed.
    Memory,
    /// It was told to end, and all were killed.
    Killed,
    /// The cage was ended from outside without a word, for instance by the kernel when memory ran out.
    Lost,
}
