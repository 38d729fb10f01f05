//! seccomp: which system calls there are in a cage.
//!
//! Two filters. The first knows what programs need and answers everything else with "no such call" (`ENOSYS`): calls of
//! kernels to come, and of other ways to number them, among them. Libraries have another way for that answer. The second
//! answers what a program might ask for and must not have with "not permitted" (`EPERM`); without the first, it would be a
//! wall by itself.
//!
//! Arguments are looked at where they are numbers. What is behind a pointer a filter cannot see: so there are no sockets with
//! a path at all, only pairs of connected ones, which cannot be connected anew (unix(7)); and no `clone3`.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::{During, Fault};

mod list;

/// Bits of a socket's kind; the rest are flags.
const KIND: u64 = 0xf;
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Restricts this process and all that come of it. `alone`: there is a network namespace; if not, there is no UDP either.
///
/// # Errors
/// If the kernel has no seccomp, or this processor's calls are not known here.
pub(super) fn close(alone: bool) -> Result<String, Fault> {
    // The denials last: where both say no, it is their answer that is given.
    for (rules, otherwise, then) in [
        (allowed(alone)?, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow),
        (denied(alone)?, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32)),
    ] {
        let architecture = ARCH.try_into().during("system calls of this processor are not known")?;
        let filter = SeccompFilter::new(rules, otherwise, then, architecture).during("no filter")?;
        let program: BpfProgram = filter.try_into().during("no filter")?;
        apply_filter(&program).during("the kernel refused the filter")?;
    }
    Ok(format!("seccomp, {} calls", list::ALLOWED.iter().map(|part| part.len()).sum::<usize>()))
}

fn allowed(alone: bool) -> Result<Rules, Fault> {
    let mut rules: Rules = list::ALLOWED.iter().copied().flatten().map(|call| (*call, Vec::new())).collect();
    // For the second filter, which then takes it away.
    rules.insert(libc::SYS_seccomp, Vec::new());
    let stream = [0, libc::IPPROTO_TCP];
    let datagram = [0, libc::IPPROTO_UDP];
    let mut sockets = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for protocol in stream {
            sockets.push(rule(&[is(0, family), kind(libc::SOCK_STREAM), is(2, protocol)])?);
        }
        for protocol in datagram.into_iter().filter(|_| alone) {
            sockets.push(rule(&[is(0, family), kind(libc::SOCK_DGRAM), is(2, protocol)])?);
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    // Connected for good. A pair of datagram sockets could be connected to a path.
    let pairs = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET];
    let pairs = pairs.map(|of| rule(&[is(0, libc::AF_UNIX), kind(of)]));
    rules.insert(libc::SYS_socketpair, pairs.into_iter().collect::<Result<_, _>>()?);
    let every = NAMESPACES.iter().fold(0, |all, flag| all | bits(*flag));
    rules.insert(libc::SYS_clone, vec![rule(&[(0, SeccompCmpOp::MaskedEq(every), 0)])?]);
    Ok(rules)
}

fn denied(alone: bool) -> Result<Rules, Fault> {
    let mut rules: Rules = list::DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let mut deny = |call: i64, conditions: &[Condition]| -> Result<(), Fault> {
        rules.entry(call).or_default().push(rule(conditions)?);
        Ok(())
    };
    deny(libc::SYS_socket, &[isnt(0, libc::AF_INET), isnt(0, libc::AF_INET6)])?;
    for of in [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET] {
        deny(libc::SYS_socket, &[kind(of)])?;
    }
    deny(libc::SYS_socket, &[isnt(2, 0), isnt(2, libc::IPPROTO_TCP), isnt(2, libc::IPPROTO_UDP)])?;
    if !alone {
        // Nobody but Landlock stands between this and the network, and it knows TCP only.
        deny(libc::SYS_socket, &[kind(libc::SOCK_DGRAM)])?;
    }
    deny(libc::SYS_socketpair, &[isnt(0, libc::AF_UNIX)])?;
    for of in [libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_RDM] {
        deny(libc::SYS_socketpair, &[kind(of)])?;
    }
    for flag in NAMESPACES {
        deny(libc::SYS_clone, &[(0, SeccompCmpOp::MaskedEq(bits(flag)), bits(flag))])?;
    }
    // Keys for a terminal that is not ours, its selection, and another discipline for it.
    for request in [TIOCSTI, TIOCLINUX, TIOCSETD] {
        deny(libc::SYS_ioctl, &[(1, SeccompCmpOp::Eq, request)])?;
    }
    // To ask is allowed, and to be as one is.
    deny(libc::SYS_personality, &[(0, SeccompCmpOp::Ne, 0), (0, SeccompCmpOp::Ne, 0xffff_ffff)])?;
    // A connection by its first packet passes by Landlock's check of connect(2) on some kernels.
    for (call, argument) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        let fast = bits(libc::MSG_FASTOPEN);
        deny(call, &[(argument, SeccompCmpOp::MaskedEq(fast), fast)])?;
    }
    for option in [libc::TCP_FASTOPEN_CONNECT, libc::TCP_ULP, libc::TCP_REPAIR] {
        deny(libc::SYS_setsockopt, &[is(1, libc::IPPROTO_TCP), is(2, option)])?;
    }
    // Programs for the kernel.
    for option in [
        libc::SO_ATTACH_FILTER,
        libc::SO_ATTACH_BPF,
        libc::SO_ATTACH_REUSEPORT_CBPF,
        SO_ATTACH_REUSEPORT_EBPF,
    ] {
        deny(libc::SYS_setsockopt, &[is(1, libc::SOL_SOCKET), is(2, option)])?;
    }
    Ok(rules)
}

/// Linux's `include/uapi/asm-generic/ioctls.h`, the same number on the processors that are known here.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const TIOCSETD: u64 = 0x5423;
/// socket(7); libc calls it deprecated.
const SOCK_PACKET: libc::c_int = 10;
/// Linux's `include/uapi/asm-generic/socket.h`.
const SO_ATTACH_REUSEPORT_EBPF: libc::c_int = 52;

/// Which argument, and what about its lower 32 bits: all that is looked at here, the kernel takes as an `int` or has its flags
/// there.
type Condition = (u8, SeccompCmpOp, u64);

fn is(argument: u8, value: libc::c_int) -> Condition {
    (argument, SeccompCmpOp::Eq, bits(value))
}

fn isnt(argument: u8, value: libc::c_int) -> Condition {
    (argument, SeccompCmpOp::Ne, bits(value))
}

fn kind(of: libc::c_int) -> Condition {
    (1, SeccompCmpOp::MaskedEq(KIND), bits(of))
}

fn bits(value: libc::c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

fn rule(conditions: &[Condition]) -> Result<SeccompRule, Fault> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|(argument, what, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, what.clone(), *value)
        })
        .collect();
    SeccompRule::new(conditions.during("no rule")?).during("no rule")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    /// A name in both lists would be refused, and only a reader of both would know.
    #[test]
    fn what_is_refused_by_name_is_not_allowed() {
        let allowed: Vec<_> = list::ALLOWED.iter().copied().flatten().collect();
        for call in list::DENIED {
            assert!(!allowed.contains(&call), "{call}");
        }
        // These come with conditions, and without one they would be allowed whole.
        for call in [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_memfd_create,
        ] {
            assert!(!allowed.contains(&&call), "{call}");
        }
    }

    #[test]
    fn without_a_network_namespace_there_is_less() {
        assert!(
            allowed(false).unwrap()[&libc::SYS_socket].len()
                < allowed(true).unwrap()[&libc::SYS_socket].len()
        );
        assert!(
            denied(false).unwrap()[&libc::SYS_socket].len() > denied(true).unwrap()[&libc::SYS_socket].len()
        );
    }
}
