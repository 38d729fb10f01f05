//! Reading the kernel's tables of TCP sockets, `/proc/net/tcp` and `/proc/net/tcp6` (proc_pid_net(5)). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of an established connection (`TCP_ESTABLISHED` of the kernel's `tcp_states.h`).
const ESTABLISHED: &str = "01";

/// The user of the process whose end of a connection has the address `local`, where the other end has `remote`; `None`
/// where no row, or rows of several users, say it.
///
/// Only established connections count, whose socket a process holds: for one that nobody holds any more the kernel writes
/// user 0, whoever had it. A row of another form is passed over. An IPv4 address in IPv6 is that IPv4 address, since a
/// process can reach the one by a socket of the other.
pub(super) fn owner(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let wanted = (plain(local), plain(remote));
    let mut found = None;
    for row in table.lines().filter_map(row) {
        if (row.local, row.remote) != wanted {
            continue;
        }
        match found {
            Some(uid) if uid != row.uid => return None,
            _ => found = Some(row.uid),
        }
    }
    found
}

struct Row {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    uid: u32,
}

/// `sl local remote st tx:rx tr:tm retrnsmt uid timeout inode …`
fn row(line: &str) -> Option<Row> {
    let mut columns = line.split_ascii_whitespace();
    let (_number, local, remote) = (columns.next()?, columns.next()?, columns.next()?);
    let (state, mut columns) = (columns.next()?, columns.skip(3));
    let (uid, _timeout, inode) = (columns.next()?, columns.next()?, columns.next()?);
    let held = decimal(inode)? != 0;
    if state != ESTABLISHED || !held {
        return None;
    }
    Some(Row { local: address(local)?, remote: address(remote)?, uid: decimal(uid)?.try_into().ok()? })
}

fn plain(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// `0100007F:1F90`, or the same with four words before the colon.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.split_once(':')?;
    let port = u16::try_from(hexadecimal(port, 4)?).ok()?;
    let word = |at: usize| host.get(at * 8..at * 8 + 8).and_then(|word| hexadecimal(word, 8));
    let ip = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                // The kernel writes each word of the address, which lies in network order, as a number of this machine.
                chunk.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((ip, port))
}

/// Exactly so many digits, and no sign.
fn hexadecimal(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Digits, and no sign.
fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(local: &str, remote: &str, state: &str, uid: &str, inode: &str) -> String {
        format!(
            "   7: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 2 00000000eb4fee24 20 0 0 10 -1\n"
        )
    }

    /// Who is at 127.0.0.1:40764, if this is the table and we are at 127.0.0.1:36923.
    fn check(rows: &[String]) -> Option<u32> {
        let table = format!("{HEAD}{}", rows.concat());
        owner(&table, "127.0.0.1:40764".parse().unwrap(), "127.0.0.1:36923".parse().unwrap())
    }

    const THEIRS: &str = "0100007F:9F3C";
    const OURS: &str = "0100007F:903B";
    const MAPPED_THEIRS: &str = "0000000000000000FFFF00000100007F:9F3C";
    const MAPPED_OURS: &str = "0000000000000000FFFF00000100007F:903B";

    #[test]
    fn the_row_of_the_other_end_names_its_user() {
        let good = line(THEIRS, OURS, "01", "1000", "4799486");
        assert_eq!(check(std::slice::from_ref(&good)), Some(1000));
        // Among others, and given twice, as can happen while the table changes.
        let listening = line(OURS, "00000000:0000", "0A", "0", "1");
        let our_end = line(OURS, THEIRS, "01", "7", "2");
        let other_port = line("0100007F:9F3D", OURS, "01", "8", "3");
        let other_host = line("0200007F:9F3C", OURS, "01", "9", "4");
        assert_eq!(check(&[listening, our_end, other_port, good.clone(), other_host, good]), Some(1000));
        // Small letters are the same number.
        assert_eq!(check(&[line("0100007f:9f3c", "0100007f:903b", "01", "5", "1")]), Some(5));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_that_address() {
        for (local, remote) in [(MAPPED_THEIRS, MAPPED_OURS), (THEIRS, MAPPED_OURS), (MAPPED_THEIRS, OURS)] {
            assert_eq!(check(&[line(local, remote, "01", "1000", "1")]), Some(1000), "{local} {remote}");
        }
        let table = line(THEIRS, OURS, "01", "1000", "1");
        let (theirs, ours) = ("[::ffff:127.0.0.1]:40764", "[::ffff:127.0.0.1]:36923");
        assert_eq!(owner(&table, theirs.parse().unwrap(), ours.parse().unwrap()), Some(1000));
    }

    #[test]
    fn ipv6_is_read_word_by_word() {
        let table = line(
            "00000000000000000000000001000000:9F3C",
            "B80D01200000000000000000785634FF:903B",
            "01",
            "3",
            "1",
        );
        let (theirs, ours) = ("[::1]:40764", "[2001:db8::ff34:5678]:36923");
        assert_eq!(owner(&table, theirs.parse().unwrap(), ours.parse().unwrap()), Some(3));
    }

    #[test]
    fn what_nobody_holds_has_no_user() {
        // Of a closed socket's remains the kernel says that they are root's.
        for state in ["02", "03", "04", "05", "06", "07", "08", "09", "0A", "0B", "0C", "00", "1", "001"] {
            assert_eq!(check(&[line(THEIRS, OURS, state, "0", "4799486")]), None, "{state}");
        }
        assert_eq!(check(&[line(THEIRS, OURS, "01", "0", "0")]), None);
        assert_eq!(check(&[]), None);
    }

    #[test]
    fn rows_that_disagree_name_nobody() {
        let rows =
            [line(THEIRS, OURS, "01", "1000", "1"), line(MAPPED_THEIRS, MAPPED_OURS, "01", "1001", "2")];
        assert_eq!(check(&rows), None);
    }

    #[test]
    fn odd_rows_are_passed_over() {
        let good = line(THEIRS, OURS, "01", "1000", "1");
        for odd in [
            "\n".to_owned(),
            "garbage\n".to_owned(),
            format!("   7: {THEIRS} {OURS} 01\n"),
            format!("   7: {THEIRS} {OURS} 01 00000000:00000000 00:00000000 00000000 7 0\n"),
            line("0100007F", OURS, "01", "7", "1"),
            line("0100007F:", OURS, "01", "7", "1"),
            line("0100007F:09F3C", OURS, "01", "7", "1"),
            line("+100007F:9F3C", OURS, "01", "7", "1"),
            line("100007F:9F3C", OURS, "01", "7", "1"),
            line("0100007F:9F3C:9F3C", OURS, "01", "7", "1"),
            line("0100007é:9F3C", OURS, "01", "7", "1"),
            line("000000000000000FFFF00000100007F:9F3C", OURS, "01", "7", "1"),
            line(THEIRS, OURS, "01", "-1", "1"),
            line(THEIRS, OURS, "01", "+7", "1"),
            line(THEIRS, OURS, "01", "4294967296", "1"),
            line(THEIRS, OURS, "01", "99999999999999999999", "1"),
            line(THEIRS, OURS, "01", "7", "x"),
            // The other way round it is our own end.
            line(OURS, THEIRS, "01", "7", "1"),
        ] {
            assert_eq!(check(std::slice::from_ref(&odd)), None, "{odd}");
            assert_eq!(check(&[odd.clone(), good.clone()]), Some(1000), "{odd}");
        }
    }
}
