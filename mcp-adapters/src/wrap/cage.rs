//! A cage for one unmodified program: it computes, speaks on its own pipes, and reaches nothing else.
//!
//! ```text
//!   outside          P   the program that calls `start`; holds the pipes, the listener and the control socket
//!   supervisor       A   our own program again, one thread: its user namespace, the end of everything, memory
//!   first process    B   our own program again, pid 1 of the cage: builds the other walls, then starts and reaps
//!   the command      C   what was asked for
//! ```
//!
//! Walls are built by processes that give themselves up: `A` and `B` are this program, executed anew with nothing but a
//! socket, and each restricts itself before the command exists. So no code runs between a fork and an exec, and nothing
//! here is unsafe. What `A` and `B` are told comes over the socket, never in their arguments or environment.
//!
//! The only way out is a TCP listener on 127.0.0.1 *inside* the network namespace of the cage. `B` binds it and hands the
//! descriptor out; `P` accepts from it, and decides what a connection may have. Nobody who accepts nothing gives nothing.
//!
//! Everything ends when `P` ends: its end of the control socket closes, `A` kills `B`, and a pid namespace does not outlive
//! its first process. If `A` is killed, the kernel kills `B`.
//!
//! Deliberately absent: any knowledge of vaults, MCP or credentials.

mod lines;
mod plan;
mod start;
mod wall;
mod wire;

pub mod command;
pub mod stage;

pub use lines::{Line, Lines};
pub use plan::{Limits, Plan, PlanError, Scratch};
pub use start::{CageError, Caged, check, start};
pub use wall::{Ended, Wall, WallKind};
