//! The system calls that the standard library does not have: epoll, eventfd, batches of datagrams.
//!
//! All unsafe code of the crate is here, behind safe functions.
#![allow(unsafe_code)] // where the system begins; each place says why it is sound

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Halfway between everybody else and what the system keeps for itself.
const NICENESS: libc::c_int = -10;
/// Descriptors that one wait reports.
pub(crate) const ROUND: usize = 512;
/// Longest datagram that is taken: above every Ethernet packet.
const DATAGRAM: usize = 2_048;

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Lets the calling thread go before others of this machine, where the system permits it: 50
/// packets a second of every call must not wait for whoever computes.
pub(crate) fn hurry() {
    // SAFETY: no pointers are passed; 0 means the calling thread. A refusal changes nothing.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}

/// Wakes a thread that waits for its descriptor.
#[derive(Debug)]
pub(crate) struct WakeUp(OwnedFd);

impl WakeUp {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed; the descriptor that comes back is ours alone.
        let fd = checked(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: as above, it is open and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the buffer is valid for its length. The call fails only if 2^64 - 2 wake-ups are
        // pending, and then the descriptor is readable anyway.
        unsafe { libc::write(self.descriptor(), one.as_ptr().cast(), one.len()) };
    }

    pub(crate) fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: the buffer is valid for its length. The call fails only if nothing is pending.
        unsafe { libc::read(self.descriptor(), count.as_mut_ptr().cast(), count.len()) };
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits for many descriptors; each has a token.
#[derive(Debug)]
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed; the descriptor that comes back is ours alone.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: as above, it is open and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: Vec::with_capacity(ROUND) })
    }

    /// Reports `token` whenever `fd` is readable. Closing the descriptor ends it.
    pub(crate) fn add(&self, fd: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        let (epoll, fd) = (self.epoll.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: `event` is valid for the call, which keeps a copy of it.
        checked(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits until something is readable or the time is over. Appends the tokens to `ready`; at
    /// most [`ROUND`] of them.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<u64>,
    ) -> io::Result<()> {
        let most = libc::c_int::try_from(self.events.capacity()).unwrap_or(libc::c_int::MAX);
        // Rounded up: waking before the deadline would mean waiting once more.
        let timeout =
            timeout.map_or(-1, |time| time.as_micros().div_ceil(1_000).min(60_000) as libc::c_int);
        let (epoll, events) = (self.epoll.as_raw_fd(), self.events.as_mut_ptr());
        // SAFETY: `events` has room for `most` entries.
        let count = match checked(unsafe { libc::epoll_wait(epoll, events, most, timeout) }) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        // SAFETY: the system has written so many entries.
        unsafe { self.events.set_len(count) };
        ready.extend(self.events.drain(..).map(|event| event.u64));
        Ok(())
    }
}

#[cfg(test)]
impl Poll {
    /// One whose every wait fails.
    pub(crate) fn broken() -> io::Result<Self> {
        let WakeUp(epoll) = WakeUp::new()?;
        Ok(Self { epoll, events: Vec::with_capacity(ROUND) })
    }
}

/// Receives datagrams, several in a call, into buffers that are used again and again.
pub(crate) struct DatagramReader {
    headers: Box<[libc::mmsghdr]>,
    names: Box<[libc::sockaddr_storage]>,
    buffers: Box<[[u8; DATAGRAM]]>,
    /// What the headers point to, besides names and buffers.
    _vectors: Box<[libc::iovec]>,
    count: usize,
}

impl DatagramReader {
    /// For at most `most` datagrams a call.
    pub(crate) fn new(most: usize) -> Self {
        let mut buffers = vec![[0; DATAGRAM]; most].into_boxed_slice();
        // SAFETY: all bytes zero is a value of this type, an address of no family.
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut names = vec![name; most].into_boxed_slice();
        let vector = |buffer: &mut [u8; DATAGRAM]| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: DATAGRAM,
        };
        let mut vectors: Box<[libc::iovec]> = buffers.iter_mut().map(vector).collect();
        let headers = vectors
            .iter_mut()
            .zip(&mut names)
            .map(|(vector, name)| {
                // SAFETY: all bytes zero is a value of this type: no pointers, no lengths.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
                header
            })
            .collect();
        Self { headers, names, buffers, _vectors: vectors, count: 0 }
    }

    /// Receives what is there, at most `most`; how many.
    pub(crate) fn receive(&mut self, fd: RawFd, most: usize) -> usize {
        let most = most.min(self.headers.len());
        for header in &mut self.headers[..most] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        let headers = self.headers.as_mut_ptr();
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the headers point to vectors, names and buffers of this object, which live on the
        // heap and do not move while it lives.
        let count = unsafe {
            libc::recvmmsg(fd, headers, most as libc::c_uint, flags, std::ptr::null_mut())
        };
        self.count = usize::try_from(count).unwrap_or(0);
        self.count
    }

    /// One of those just received; none if it was cut off or its sender has no address.
    pub(crate) fn datagram(&self, at: usize) -> Option<(SocketAddr, &[u8])> {
        let header = self.headers[..self.count].get(at)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let from = address(&self.names[at])?;
        Some((from, &self.buffers[at][..header.msg_len as usize]))
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name = std::ptr::from_ref(name);
    // SAFETY: `sockaddr_storage` is aligned and large enough for every address family, and all its
    // bytes are initialised, so it may be read as any of them.
    let family = libc::c_int::from(unsafe { (*name).ss_family });
    match family {
        libc::AF_INET => {
            // SAFETY: as above.
            let v4 = unsafe { &*name.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*name.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Sends datagrams of one socket, several in a call.
pub(crate) struct DatagramWriter {
    headers: Vec<libc::mmsghdr>,
    names: Vec<socket2::SockAddr>,
    vectors: Vec<libc::iovec>,
}

impl DatagramWriter {
    pub(crate) fn new() -> Self {
        Self { headers: Vec::new(), names: Vec::new(), vectors: Vec::new() }
    }

    /// Sends all; what the system does not take is lost, as datagrams are.
    pub(crate) fn send<'a>(
        &mut self,
        fd: RawFd,
        datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
    ) {
        self.headers.clear();
        self.names.clear();
        self.vectors.clear();
        for (to, bytes) in datagrams {
            self.names.push(to.into());
            let base = bytes.as_ptr().cast_mut().cast();
            self.vectors.push(libc::iovec { iov_base: base, iov_len: bytes.len() });
        }
        for (name, vector) in self.names.iter().zip(&mut self.vectors) {
            // SAFETY: all bytes zero is a value of this type: no pointers, no lengths.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            self.headers.push(header);
        }
        let mut rest = &mut self.headers[..];
        while !rest.is_empty() {
            let count = rest.len().min(1_024) as libc::c_uint;
            // SAFETY: each header points to a name and a vector of this object, which are not
            // touched before the call returns; each vector to a datagram that outlives the call,
            // and which sending does not change.
            let sent = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
            // The first one was refused (no route, no buffer): go on with the others.
            let sent = usize::try_from(sent).unwrap_or(1).max(1);
            rest = &mut rest[sent..];
        }
        self.headers.clear();
        self.vectors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn pair() -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        (bind(), bind())
    }

    #[test]
    fn a_batch_arrives_as_it_was_sent() {
        let (a, b) = pair();
        let to = b.local_addr().unwrap();
        let sent: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; usize::from(n) * 10]).collect();
        let mut writer = DatagramWriter::new();
        writer.send(a.as_raw_fd(), sent.iter().map(|bytes| (to, &bytes[..])));
        let mut reader = DatagramReader::new(8);
        let mut got = Vec::new();
        loop {
            let count = reader.receive(b.as_raw_fd(), 8);
            for at in 0..count {
                let (from, bytes) = reader.datagram(at).unwrap();
                assert_eq!(from, a.local_addr().unwrap());
                got.push(bytes.to_vec());
            }
            if count == 0 {
                break;
            }
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn a_datagram_too_long_for_the_buffer_is_not_given_out() {
        let (a, b) = pair();
        a.send_to(&[7; DATAGRAM + 1], b.local_addr().unwrap()).unwrap();
        a.send_to(&[7; DATAGRAM], b.local_addr().unwrap()).unwrap();
        let mut reader = DatagramReader::new(4);
        assert_eq!(reader.receive(b.as_raw_fd(), 4), 2);
        assert!(reader.datagram(0).is_none());
        assert_eq!(reader.datagram(1).unwrap().1.len(), DATAGRAM);
        assert!(reader.datagram(2).is_none());
    }

    #[test]
    fn one_refused_datagram_does_not_stop_the_others() {
        let (a, b) = pair();
        let good = b.local_addr().unwrap();
        let bad: SocketAddr = "[::1]:9".parse().unwrap(); // not a destination of an IPv4 socket
        let batch = [(bad, &b"x"[..]), (good, &b"1"[..]), (bad, &b"x"[..]), (good, &b"2"[..])];
        DatagramWriter::new().send(a.as_raw_fd(), batch.into_iter());
        assert_eq!(DatagramReader::new(4).receive(b.as_raw_fd(), 4), 2);
    }

    #[test]
    fn addresses_of_version_6_are_understood() {
        let Ok(a) = UdpSocket::bind("[::1]:0") else { return }; // a host without it
        let own = a.local_addr().unwrap();
        DatagramWriter::new().send(a.as_raw_fd(), [(own, &b"six"[..])].into_iter());
        let mut reader = DatagramReader::new(1);
        assert_eq!(reader.receive(a.as_raw_fd(), 1), 1);
        assert_eq!(reader.datagram(0), Some((own, &b"six"[..])));
    }

    #[test]
    fn a_wake_up_is_seen_once_it_is_waited_for_and_until_it_is_cleared() {
        let (wake_up, mut poll) = (WakeUp::new().unwrap(), Poll::new().unwrap());
        poll.add(&wake_up.0, 42).unwrap();
        let mut ready = Vec::new();
        poll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert_eq!(ready, []);
        wake_up.wake();
        wake_up.wake();
        poll.wait(None, &mut ready).unwrap();
        wake_up.clear();
        poll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert_eq!(ready, [42]);
    }
}
