//! The network of a cage: its loopback device, and the listener that leads out.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Up with the loopback device, which is the first of every network namespace and down in a new one.
///
/// By one message of rtnetlink(7): a `nlmsghdr`, and an `ifinfomsg` that changes one flag of device 1.
pub(super) fn loopback_up() -> io::Result<()> {
    const REQUEST_AND_ACK: u16 = 0x0001 | 0x0004;
    const NEW_LINK: u16 = 16;
    const ERROR: u16 = 2;
    const UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32u32.to_ne_bytes()); // its length
    message.extend_from_slice(&NEW_LINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST_AND_ACK.to_ne_bytes());
    message.extend_from_slice(&1u32.to_ne_bytes()); // sequence
    message.extend_from_slice(&0u32.to_ne_bytes()); // to the kernel
    message.extend_from_slice(&[0, 0, 0, 0]); // any family, padding, any type
    message.extend_from_slice(&1i32.to_ne_bytes()); // the device
    message.extend_from_slice(&UP.to_ne_bytes()); // flags
    message.extend_from_slice(&UP.to_ne_bytes()); // of which these are meant
    // Netlink's protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0u8; 128];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let answer = answer.get(..length).unwrap_or_default();
    let kind = answer.get(4..6).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|four| four.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        // An error of zero is the acknowledgement.
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::Error::from(ErrorKind::InvalidData)),
    }
}

/// The listener that the outside will accept from.
pub(super) fn listener(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}
