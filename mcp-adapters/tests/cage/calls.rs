//! System calls: what must not be answered, by number, on the processor whose numbers these are.
#![cfg(target_arch = "x86_64")]

use crate::rig::rigs;

#[test]
fn sockets_are_tcp_and_udp() {
    for rig in rigs() {
        // family, kind, protocol; kinds come with flags, too
        for (socket, outside) in [
            (["1", "1", "0"], true),
            (["1", "2", "0"], true),
            (["16", "3", "0"], true),
            (["16", "524291", "15"], true),
            (["2", "3", "1"], false),
            (["2", "3", "255"], false),
            (["10", "3", "58"], false),
            (["17", "3", "768"], false),
            (["17", "2", "768"], false),
            (["40", "1", "0"], false),
            (["38", "5", "0"], false),
            (["2", "2", "1"], false),
            (["2", "1", "132"], false),
            (["2", "1", "262"], false),
            (["2", "10", "768"], false),
            (["29", "3", "1"], false),
        ] {
            let attempt = [&["new_socket"][..], &socket].concat();
            if outside {
                rig.only_outside(&attempt, "EPERM");
            } else {
                rig.not_inside(&attempt, "EPERM");
            }
        }
        for socket in [["2", "1", "0"], ["2", "526337", "6"], ["10", "2", "17"]] {
            assert_eq!(rig.inside(&[&["new_socket"][..], &socket].concat()), "GOT None");
        }
    }
}

#[test]
fn calls_are_refused() {
    for rig in rigs() {
        for (call, reason) in [
            (&["101", "0", "0", "0", "0"][..], "EPERM"), // ptrace(TRACEME)
            (&["310", "1", "0", "0", "0", "0", "0"], "EPERM"), // process_vm_readv
            (&["311", "1", "0", "0", "0", "0", "0"], "EPERM"), // process_vm_writev
            (&["250", "0", "-3", "1"], "EPERM"),         // keyctl(the session's keyring)
            (&["248", "0", "0", "0", "0", "0"], "EPERM"), // add_key
            (&["249", "0", "0", "0", "0"], "EPERM"),     // request_key
            (&["321", "0", "0", "0"], "EPERM"),          // bpf
            (&["298", "0", "0", "-1", "-1", "0"], "EPERM"), // perf_event_open
            (&["323", "1"], "EPERM"),                    // userfaultfd(USER_MODE_ONLY)
            (&["425", "1", "0"], "ENOSYS"),              // io_uring_setup
            (&["426", "1", "0"], "ENOSYS"),              // io_uring_enter
            (&["427", "1", "0"], "ENOSYS"),              // io_uring_register
            (&["165", "0", "0", "0", "0", "0"], "EPERM"), // mount
            (&["166", "0", "0"], "EPERM"),               // umount2
            (&["155", "0", "0"], "EPERM"),               // pivot_root
            (&["161", "0"], "EPERM"),                    // chroot
            (&["428", "0", "0", "0"], "EPERM"),          // open_tree
            (&["429", "0", "0", "0", "0", "0"], "EPERM"), // move_mount
            (&["430", "0", "0"], "EPERM"),               // fsopen
            (&["442", "0", "0", "0", "0", "0"], "EPERM"), // mount_setattr
            (&["272", "0x10000000"], "EPERM"),           // unshare(NEWUSER)
            (&["272", "0"], "EPERM"),                    // unshare, nothing
            (&["308", "0", "0"], "EPERM"),               // setns
            (&["56", "0x10000011", "0", "0", "0", "0"], "EPERM"), // clone(NEWUSER)
            (&["56", "0x20011", "0", "0", "0", "0"], "EPERM"), // clone(NEWNS)
            (&["56", "0x40000011", "0", "0", "0", "0"], "EPERM"), // clone(NEWNET)
            (&["435", "0", "0"], "ENOSYS"),              // clone3
            (&["246", "0", "0", "0", "0"], "EPERM"),     // kexec_load
            (&["175", "0", "0", "0"], "EPERM"),          // init_module
            (&["313", "0", "0", "0"], "EPERM"),          // finit_module
            (&["176", "0", "0"], "EPERM"),               // delete_module
            (&["303", "0", "0", "0", "0", "0"], "EPERM"), // name_to_handle_at
            (&["304", "0", "0", "0"], "EPERM"),          // open_by_handle_at
            (&["135", "0x40000"], "EPERM"),              // personality(ADDR_NO_RANDOMIZE)
            (&["319", "0", "0"], "ENOSYS"),              // memfd_create
            (&["447", "0"], "ENOSYS"),                   // memfd_secret
            (&["438", "0", "0", "0"], "EPERM"),          // pidfd_getfd
            (&["317", "1", "0", "0"], "EPERM"),          // seccomp
            (&["444", "0", "0", "1"], "ENOSYS"),         // landlock_create_ruleset
            (&["29", "0", "4096", "0x3ff"], "EPERM"),    // shmget
            (&["169", "0", "0", "0", "0"], "EPERM"),     // reboot
            (&["103", "3", "0", "0"], "EPERM"),          // syslog
            (&["227", "0", "0"], "EPERM"),               // clock_settime
            (&["172", "3"], "ENOSYS"),                   // iopl
            (&["240", "0", "0", "0", "0"], "ENOSYS"),    // mq_open
            (&["16", "0", "0x5412", "0"], "EPERM"),      // ioctl(TIOCSTI)
            (&["16", "0", "0x100005412", "0"], "EPERM"), // the same to the kernel, which takes 32 bits
            (&["16", "0", "0x541c", "0"], "EPERM"),      // ioctl(TIOCLINUX)
            (&["41", "0x100000001", "1", "0"], "EPERM"), // socket(AF_UNIX), likewise
            (&["54", "3", "6", "30", "0", "0"], "EPERM"), // setsockopt(TCP_FASTOPEN_CONNECT)
            (&["54", "3", "1", "26", "0", "0"], "EPERM"), // setsockopt(SO_ATTACH_FILTER)
            (&["44", "3", "0", "0", "0x20000000", "0", "0"], "EPERM"), // sendto(MSG_FASTOPEN)
            (&["1073741865", "1", "1", "0"], "ENOSYS"),  // x32's socket(AF_UNIX)
            (&["1073742345", "0", "0", "0", "0"], "ENOSYS"), // x32's ptrace
            (&["9999"], "ENOSYS"),                       // of a kernel to come
        ] {
            rig.not_inside(&[&["syscall"][..], call].concat(), reason);
        }
    }
}

/// The test above is about the filters and not about rights: outside, with the same arguments, the kernel says otherwise.
#[test]
fn the_same_calls_are_known_outside() {
    for rig in rigs() {
        for (call, outside) in [
            (&["319", "0", "0"][..], "NO EFAULT"),
            (&["272", "0"], "GOT"),
            (&["135", "0x40000"], "GOT"),
            (&["435", "0", "0"], "NO EINVAL"),
            (&["240", "0", "0", "0", "0"], "NO EFAULT"),
            (&["16", "0", "0x5412", "0"], "NO ENOTTY"),
            (&["54", "99", "1", "26", "0", "0"], "NO EBADF"),
        ] {
            let told = rig.outside(&[&["syscall"][..], call].concat());
            assert!(told.starts_with(outside), "{call:?}: {told}");
        }
    }
}
