//! The first process of a cage: builds its walls from inside, starts the command, and reaps until that ends.
//!
//! The order matters. What needs a capability comes before they are given up, root is given up after what needs root, and
//! system calls are taken away last. The command is started by a process that is itself behind every wall.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};
use rustix::process::{
    DumpableBehavior, Signal, WaitOptions, getpid, set_dumpable_behavior, set_parent_process_death_signal,
    wait,
};
use rustix::thread::set_no_new_privs;

use super::mounts::{self, View};
use super::{During, Fault, Footing, calls, capabilities, files, limits, net, user};
use crate::wrap::cage::plan::{Order, environment};
use crate::wrap::cage::wall::{Wall, WallKind};
use crate::wrap::cage::wire::{Report, hear, tell};

/// What is left to do once the walls stand.
struct Built {
    walls: Vec<Wall>,
    view: View,
    listener: Option<TcpListener>,
}

/// Everything, until the command ended: with its code.
pub(super) fn run(link: OwnedFd) -> Result<ExitCode, Fault> {
    let heard = hear::<Order>(&link).during("no order")?;
    let Some((order, fds)) = heard else { return Ok(ExitCode::FAILURE) };
    let [stdin, stdout, stderr, control] =
        <[OwnedFd; 4]>::try_from(fds).map_err(|_| Fault("an order without streams".to_owned()))?;
    match live(&order, &link, [stdin, stdout, stderr], &control) {
        Ok(Some(child)) => {
            // From here on nothing of the outside is open here.
            drop((control, link));
            Ok(reap(child))
        }
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(fault) => {
            let _ = tell(&control, &Report::Failed(fault.0.clone()), &[]);
            Err(fault)
        }
    }
}

fn live(
    order: &Order,
    link: &OwnedFd,
    streams: [OwnedFd; 3],
    control: &OwnedFd,
) -> Result<Option<u32>, Fault> {
    let built = build(order, link)?;
    if !order.weak && built.walls.iter().any(|wall| !wall.holds) {
        tell(control, &Report::Refused(built.walls), &[]).during("the outside does not listen")?;
        return Ok(None);
    }
    let listener: Vec<_> = built.listener.iter().map(AsFd::as_fd).collect();
    tell(control, &Report::Built(built.walls), &listener).during("the outside does not listen")?;
    // The outside's only: nobody in here accepts.
    drop(built.listener);
    if order.check {
        return Ok(None);
    }
    let [stdin, stdout, stderr] = streams.map(Stdio::from);
    let mut command = Command::new(&order.command);
    command
        .args(&order.args)
        .env_clear()
        .envs(environment(&order.env, &built.view.home, &built.view.tmp))
        .current_dir(&built.view.home)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    let child = command.spawn().during(format_args!(
        "{} cannot be executed in its cage (is its interpreter, and all that it loads, among its code?)",
        order.command.display()
    ))?;
    tell(control, &Report::Started, &[]).during("the outside does not listen")?;
    Ok(Some(child.id()))
}

fn build(order: &Order, link: &OwnedFd) -> Result<Built, Fault> {
    end_with_supervisor()?;
    let mut walls = Vec::new();
    walls.push(if getpid().is_init() {
        Wall::holds(WallKind::Processes, "its own pid namespace, which ends with its first process")
    } else {
        Wall::missing(WallKind::Processes, without(&order.footing, "no pid namespace"))
    });
    let namespaces = [
        (WallKind::Ipc, CloneFlags::CLONE_NEWIPC, "its own ipc namespace"),
        (WallKind::HostName, CloneFlags::CLONE_NEWUTS, "its own uts namespace"),
        (WallKind::Cgroups, CloneFlags::CLONE_NEWCGROUP, "its own cgroup namespace"),
        (
            WallKind::Network,
            CloneFlags::CLONE_NEWNET,
            "its own network namespace, with a loopback device only",
        ),
        (WallKind::Mounts, CloneFlags::CLONE_NEWNS, "its own mount namespace, with a root of its own"),
    ];
    for (kind, flag, why) in namespaces {
        walls.push(match unshare(flag) {
            Ok(()) => Wall::holds(kind, why),
            Err(fault) => Wall::missing(kind, without(&order.footing, fault)),
        });
    }
    let has = |walls: &[Wall], kind| walls.iter().any(|wall| wall.kind == kind && wall.holds);
    if has(&walls, WallKind::HostName) {
        rustix::system::sethostname(b"cage").during("cannot name the cage")?;
    }
    let alone = has(&walls, WallKind::Network);
    let listener = if alone {
        net::loopback_up().during("cannot start the loopback device")?;
        Some(net::listener(order.port).during("cannot listen in the cage")?)
    } else {
        // On the machine's own: somebody else may have the port.
        net::listener(order.port).ok()
    };
    limits::go_first();
    walls.push(if Path::new("/proc/thread-self/children").exists() {
        let most = order.limits.memory >> 20;
        Wall::holds(WallKind::Memory, format!("{most} MiB for all together, watched five times a second"))
    } else {
        Wall::missing(WallKind::Memory, "this kernel does not list a process's children")
    });
    let view = if has(&walls, WallKind::Mounts) {
        let (view, proc) = mounts::build(order)?;
        walls.push(match proc {
            Ok(()) => Wall::holds(WallKind::Proc, "its own, without the kernel's tables"),
            // There is none then, which is no hole, but not what was asked for.
            Err(fault) => Wall::missing(WallKind::Proc, format!("there is no /proc at all: {fault}")),
        });
        view
    } else {
        walls.push(Wall::missing(WallKind::Proc, "the machine's, closed by Landlock if that holds"));
        View::of_the_machine(order)?
    };
    walls.push(own_user(order)?);
    limits::set(&order.limits)?;
    walls.push(if order.by_root && order.footing != Footing::Root {
        Wall::missing(
            WallKind::Limits,
            "root has as many processes as it likes, and cannot become another user here",
        )
    } else {
        let Limited { processes, files, file } = Limited::of(order);
        Wall::holds(
            WallKind::Limits,
            format!("{processes} processes, {files} open files, files of {file} MiB, no core dumps"),
        )
    });
    walls.push(told(WallKind::Capabilities, capabilities::drop_all().map(str::to_owned)));
    walls.push(told(
        WallKind::NoNewPrivileges,
        set_no_new_privs(true).during("refused").map(|()| "set-user-id programs give nothing".to_owned()),
    ));
    // Again: becoming another user undoes it. From here on nobody of the cage can look into this process.
    end_with_supervisor()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during("cannot close this process")?;
    walls.push(end(link)?);
    walls.push(Wall::holds(WallKind::Descriptors, "three pipes and nothing else"));
    walls.push(told(WallKind::Files, files::close(&view, (!alone).then_some(order.port))));
    walls.push(told(WallKind::Calls, calls::close(alone)));
    walls.sort_by_key(|wall| wall.kind);
    Ok(Built { walls, view, listener })
}

fn own_user(order: &Order) -> Result<Wall, Fault> {
    let kind = WallKind::User;
    match &order.footing {
        Footing::Own => Ok(Wall::holds(kind, "its own user namespace, with one user")),
        Footing::Missing(why) => Ok(Wall::missing(kind, why.clone())),
        Footing::Root => {
            user::become_user(order.user)?;
            let made = user::own_namespace(Uid::from_raw(order.user), Gid::from_raw(order.user));
            Ok(match made {
                Ok(()) => {
                    Wall::holds(kind, format!("user {} outside, in its own user namespace", order.user))
                }
                // That user it is, in any case.
                Err(fault) => Wall::missing(kind, format!("user {} outside, but {fault}", order.user)),
            })
        }
    }
}

fn end_with_supervisor() -> Result<(), Fault> {
    set_parent_process_death_signal(Some(Signal::KILL)).during("cannot end with the supervisor")
}

/// A supervisor that ended before it was watched has closed its end of the link.
fn end(link: &OwnedFd) -> Result<Wall, Fault> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut waits = [PollFd::new(link, PollFlags::IN | PollFlags::HUP)];
    match poll(&mut waits, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(0) => Ok(Wall::holds(WallKind::End, "it is killed when its starter ends, however that happens")),
        _ => Err(Fault("the supervisor is gone".to_owned())),
    }
}

struct Limited {
    processes: u64,
    files: u64,
    file: u64,
}

impl Limited {
    fn of(order: &Order) -> Self {
        Self { processes: order.limits.processes, files: order.limits.files, file: order.limits.file >> 20 }
    }
}

fn told(kind: WallKind, done: Result<String, Fault>) -> Wall {
    match done {
        Ok(why) => Wall::holds(kind, why),
        Err(fault) => Wall::missing(kind, fault.to_string()),
    }
}

/// The reason behind most missing walls is one.
fn without(footing: &Footing, fault: impl std::fmt::Display) -> String {
    match footing {
        Footing::Missing(why) => why.clone(),
        _ => fault.to_string(),
    }
}

/// Reaps whoever ends until the command did. What is left then, a pid namespace takes with it.
fn reap(command: u32) -> ExitCode {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_pid()) == Ok(command) => {
                let signal = status.terminating_signal().map(|signal| 128 + signal);
                let code = status.exit_status().or(signal).unwrap_or(255);
                return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return ExitCode::FAILURE,
        }
    }
}
