//! What the kernel does for us: sockets that know when a packet arrived, waiting, and the clock.
#![expect(unsafe_code, reason = "recvmmsg, ppoll and CPU clocks have no safe form in std")]
#![expect(clippy::disallowed_methods, reason = "a load generator lives in real time")]

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Datagrams read by one call at most.
const BATCH: usize = 16;
/// The largest datagram that is read whole; a SIP message with SDP is half of this.
const DATAGRAM: usize = 4_096;
/// Room for one control message with a timestamp.
const CONTROL: usize = 64;

/// Nanoseconds since 1970: the clock of the kernel's receive timestamps.
pub(crate) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos() as u64)
}

/// The same moment for those who count from nowhere.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// User and system time this process has used.
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// A measuring device comes before what it measures: wakes are wanted within microseconds of their
/// time, not within the usual 50, and, where that is allowed, before everybody else's.
pub(crate) fn come_first() {
    // SAFETY: both calls take integers; they change this thread's timer slack and priority only.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64, 0, 0, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, -15);
    }
}

/// Waits until one of the descriptors can be read or `timeout` has passed; tells which can.
pub(crate) fn wait<const N: usize>(fds: [RawFd; N], timeout: Option<Duration>) -> [bool; N] {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().cast_signed(),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the array and the timeout outlive the call; a null timeout means for ever.
    unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, timeout, ptr::null()) };
    polled.map(|fd| fd.revents != 0)
}

/// A UDP socket that tells when each datagram reached this machine's network stack.
#[derive(Debug)]
pub(crate) struct StampedSocket {
    socket: UdpSocket,
}

impl StampedSocket {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let on: libc::c_int = 1;
        // SAFETY: the descriptor is open, and the value is an int of the size that is given.
        let result = unsafe {
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            let value = (&raw const on).cast();
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                value,
                size,
            )
        };
        if result == 0 { Ok(Self { socket }) } else { Err(io::Error::last_os_error()) }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Sends or drops, as a network does.
    pub(crate) fn send(&self, datagram: &[u8], to: SocketAddr) {
        let _ = self.socket.send_to(datagram, to);
    }

    /// Reads everything that is waiting.
    pub(crate) fn drain(&self, inbox: &mut Inbox, mut handle: impl FnMut(u64, SocketAddr, &[u8])) {
        loop {
            let count = inbox.read(self.fd());
            for index in 0..count {
                if let Some((at, from, datagram)) = inbox.datagram(index) {
                    handle(at, from, datagram);
                }
            }
            if count < BATCH {
                return;
            }
        }
    }
}

/// Buffers for one batch of datagrams, kept from call to call.
pub(crate) struct Inbox(Box<Buffers>);

struct Buffers {
    headers: [libc::mmsghdr; BATCH],
    vectors: [libc::iovec; BATCH],
    slots: [Slot; BATCH],
    /// Headers that the last read has changed.
    used: usize,
}

struct Slot {
    data: [u8; DATAGRAM],
    control: [u64; CONTROL / 8],
    from: libc::sockaddr_storage,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        // SAFETY: a structure of integers, pointers and arrays of them: all zeros is a value.
        let mut buffers: Box<Buffers> = Box::new(unsafe { mem::zeroed() });
        let Buffers { headers, vectors, slots, used } = &mut *buffers;
        for ((slot, header), vector) in slots.iter_mut().zip(headers).zip(vectors) {
            vector.iov_base = slot.data.as_mut_ptr().cast();
            vector.iov_len = DATAGRAM;
            header.msg_hdr.msg_name = (&raw mut slot.from).cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
        }
        *used = BATCH;
        Self(buffers)
    }

    /// Reads what is waiting on a socket, a batch at most.
    fn read(&mut self, fd: RawFd) -> usize {
        let Buffers { headers, used, .. } = &mut *self.0;
        for header in &mut headers[..*used] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: each header points into its own slot, with the sizes of that slot; all of them
        // are in one box that `self` owns, which neither moves nor ends during the call.
        let count = unsafe {
            let headers = headers.as_mut_ptr();
            libc::recvmmsg(fd, headers, BATCH as u32, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        *used = usize::try_from(count).unwrap_or(0);
        *used
    }

    fn datagram(&self, index: usize) -> Option<(u64, SocketAddr, &[u8])> {
        let (slot, header) = (self.0.slots.get(index)?, self.0.headers.get(index)?);
        let at = arrival(&header.msg_hdr).unwrap_or_else(now_ns);
        let data = slot.data.get(..header.msg_len as usize)?;
        Some((at, sender(&slot.from)?, data))
    }
}

/// The kernel's timestamp in the control messages of a datagram.
fn arrival(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel filled the header's control buffer, aligned for u64 and still owned by
    // the inbox, and its length; the macros stay inside it. The timestamp is copied unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = message.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_TIMESTAMPNS
            {
                let mut time = MaybeUninit::<libc::timespec>::uninit();
                let size = size_of::<libc::timespec>();
                ptr::copy_nonoverlapping(libc::CMSG_DATA(message), time.as_mut_ptr().cast(), size);
                let time = time.assume_init();
                let seconds = time.tv_sec.cast_unsigned() * 1_000_000_000;
                return Some(seconds + time.tv_nsec.cast_unsigned());
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

fn sender(address: &libc::sockaddr_storage) -> Option<SocketAddr> {
    if i32::from(address.ss_family) != libc::AF_INET {
        return None;
    }
    // SAFETY: an address of this family is a sockaddr_in, which is smaller than the storage.
    let v4 = unsafe { *ptr::from_ref(address).cast::<libc::sockaddr_in>() };
    let ip = IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes());
    Some(SocketAddr::new(ip, u16::from_be(v4.sin_port)))
}
