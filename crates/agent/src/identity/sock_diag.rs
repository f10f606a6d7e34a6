//! The listening sockets of this process' own network namespace, asked for by netlink (sock_diag(7)).
//!
//! `/proc/net/tcp` says the same, but goes through the kernel's table of connections on its way to its end: half a
//! million places on a machine with much memory, empty or not. The dump of one state looks at that state's table alone.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::FromRawFd;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP_LISTEN: u32 = 10;
const HEAD_BYTES: usize = 16;
/// `struct inet_diag_req_v2` and `struct inet_diag_msg`.
const REQUEST_BYTES: usize = 56;
const ANSWER_BYTES: usize = 72;
const BUFFER_BYTES: usize = 32 * 1024;

/// Inode and address; `None` where the kernel does not answer.
pub fn listening(most: usize) -> Option<Vec<(u64, SocketAddr)>> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump(family as u8, most, &mut found)?;
    }
    Some(found)
}

fn dump(family: u8, most: usize, found: &mut Vec<(u64, SocketAddr)>) -> Option<()> {
    // SAFETY: no pointers; the descriptor is checked before it is owned.
    let descriptor =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_SOCK_DIAG) };
    if descriptor < 0 {
        return None;
    }
    // SAFETY: it was just opened, and nobody else has it.
    let mut socket = unsafe { File::from_raw_fd(descriptor) };
    socket.write_all(&request(family)).ok()?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = socket.read(&mut buffer).ok()?;
        if read_messages(buffer.get(..length)?, most, found)? {
            return Some(());
        }
    }
}

fn request(family: u8) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEAD_BYTES + REQUEST_BYTES);
    request.extend_from_slice(&((HEAD_BYTES + REQUEST_BYTES) as u32).to_ne_bytes());
    request.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend_from_slice(&((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    // Sequence number and port: there is one request on this socket.
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(&[family, libc::IPPROTO_TCP as u8, 0, 0]);
    request.extend_from_slice(&(1u32 << TCP_LISTEN).to_ne_bytes());
    request.resize(HEAD_BYTES + REQUEST_BYTES, 0);
    request
}

/// True at the end of the dump; `None` on an error, or when the answer cannot be understood.
fn read_messages(mut bytes: &[u8], most: usize, found: &mut Vec<(u64, SocketAddr)>) -> Option<bool> {
    while !bytes.is_empty() {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
        let body = bytes.get(HEAD_BYTES..length)?;
        match i32::from(kind) {
            libc::NLMSG_DONE => return Some(true),
            libc::NLMSG_ERROR => return None,
            _ if kind == SOCK_DIAG_BY_FAMILY && found.len() < most => found.push(parse(body)?),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(false)
}

fn parse(body: &[u8]) -> Option<(u64, SocketAddr)> {
    let body = body.first_chunk::<ANSWER_BYTES>()?;
    let port = u16::from_be_bytes([body[4], body[5]]);
    let address = match i32::from(body[0]) {
        libc::AF_INET => IpAddr::from(*body[8..].first_chunk::<4>()?),
        _ => {
            let v6 = Ipv6Addr::from(*body[8..].first_chunk::<16>()?);
            v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
        }
    };
    let inode = u32::from_ne_bytes(*body.last_chunk()?);
    Some((inode.into(), SocketAddr::new(address, port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn listeners_of_both_families_are_found() {
        let sockets = ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).expect("bind"));
        let found = listening(usize::MAX).expect("an answer");
        for socket in &sockets {
            let address = socket.local_addr().expect("address");
            let inode = found.iter().find(|(_, have)| *have == address).expect("the listener").0;
            let link = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(socket)));
            assert_eq!(link.expect("link").to_string_lossy(), format!("socket:[{inode}]"));
        }
    }

    #[test]
    fn a_cut_answer_is_no_answer() {
        let mut message = Vec::from(((HEAD_BYTES + ANSWER_BYTES) as u32).to_ne_bytes());
        message.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message.resize(HEAD_BYTES, 0);
        message.extend_from_slice(&[libc::AF_INET as u8, 10, 0, 0, 0, 80, 0, 0, 127, 0, 0, 1]);
        message.resize(HEAD_BYTES + ANSWER_BYTES - 4, 0);
        message.extend_from_slice(&7u32.to_ne_bytes());
        let mut found = Vec::new();
        assert_eq!(read_messages(&message, 10, &mut found), Some(false));
        assert_eq!(found, [(7, "127.0.0.1:80".parse().expect("address"))]);
        for cut in 1..message.len() {
            assert_eq!(read_messages(&message[..cut], 10, &mut Vec::new()), None, "cut at {cut}");
        }
    }
}
