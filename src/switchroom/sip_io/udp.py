"""UDP sockets for SIP: read in batches, and told by the kernel when a peer can't be reached."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Final

from switchroom.sip.flows import Address, Flow
from switchroom.sip_io.addresses import is_ipv6

_BATCH: Final = 64
_RECEIVE_BUFFER: Final = 4 * 1024 * 1024
_LARGEST: Final = 65_535
_FLOWS_KEPT: Final = 4_096

# linux/in.h and linux/in6.h; the socket module has no names for them.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25

_ERRORS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EMSGSIZE: "message too long for the network",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
}


def describe_error(number: int) -> str:
    """An errno in the words used for failures of calls."""
    return _ERRORS.get(number) or os.strerror(number).lower()


class UdpSockets:
    """Our UDP sockets, one for each address we listen on.

    All hang in one epoll object of their own, and that one in the event loop: an ICMP error makes
    a socket signal EPOLLERR, which not every event loop hands on to a reader.
    """

    def __init__(
        self,
        on_datagram: Callable[[Flow, bytes], None],
        on_batch_end: Callable[[], None],
        on_error: Callable[[Flow, str], None],
    ) -> None:
        self._on_datagram = on_datagram
        self._on_batch_end = on_batch_end
        self._on_error = on_error
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[socket.socket, Address, Address]] = {}
        self._by_local: dict[Address, socket.socket] = {}
        self._flows: dict[tuple[int, Address], Flow] = {}
        self.send_buffer_full = 0
        """Datagrams the kernel had no room for; like any lost datagram they are sent again."""

    def bind(self, ip: str, port: int) -> Address:
        """Listen (raises OSError). Returns the address with the real port."""
        family = socket.AF_INET6 if is_ipv6(ip) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            sock.bind((ip, port))
        except OSError:
            sock.close()
            raise
        local: Address = sock.getsockname()[:2]
        self._sockets[sock.fileno()] = (sock, local, local)
        self._by_local[local] = sock
        self._poll.register(sock.fileno(), select.EPOLLIN)
        return local

    def advertise(self, local: Address, sent_by: Address) -> None:
        """What Via and Contact say for the socket bound to ``local``."""
        sock = self._by_local[local]
        self._sockets[sock.fileno()] = (sock, local, sent_by)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        loop.add_reader(self._poll.fileno(), self._readable)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close everything."""
        if not self._poll.closed:
            loop.remove_reader(self._poll.fileno())
            self._poll.close()
        for sock, _, _ in self._sockets.values():
            sock.close()
        self._sockets.clear()
        self._by_local.clear()

    def flow(self, local: Address, remote: Address) -> Flow | None:
        """The flow from the socket bound to ``local``; ``None`` if there is none."""
        sock = self._by_local.get(local)
        return self._flow(sock.fileno(), remote) if sock is not None else None

    def send(self, flow: Flow, data: bytes) -> str | None:
        """Send one datagram. Returns what went wrong if it is known at once."""
        sock = self._by_local.get(flow.local)
        if sock is None:
            return "socket closed"
        for _attempt in (1, 2):
            try:
                sock.sendto(data, flow.remote)
            except (BlockingIOError, InterruptedError):
                self.send_buffer_full += 1
            except ConnectionRefusedError:
                # An ICMP answer to an earlier datagram, perhaps to another peer; the error queue
                # says which. This datagram was not sent: once more.
                continue
            except OSError as error:
                return describe_error(error.errno or 0)
            return None
        return None

    def _flow(self, descriptor: int, remote: Address) -> Flow:
        key = (descriptor, remote)
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= _FLOWS_KEPT:
                self._flows.clear()
            _, local, sent_by = self._sockets[descriptor]
            flow = self._flows[key] = Flow("udp", local, remote, sent_by)
        return flow

    def _readable(self) -> None:
        for descriptor, events in self._poll.poll(0):
            entry = self._sockets.get(descriptor)
            if entry is None:
                continue
            if events & select.EPOLLERR:
                self._read_errors(descriptor, entry[0])
            if events & select.EPOLLIN:
                self._read_datagrams(descriptor, entry[0])
        self._on_batch_end()

    def _read_datagrams(self, descriptor: int, sock: socket.socket) -> None:
        # A bounded batch: the rest is signalled again, and other work gets its turn in between.
        for _ in range(_BATCH):
            try:
                data, remote = sock.recvfrom(_LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error surfacing here; its details wait in the error queue
            self._on_datagram(self._flow(descriptor, remote[:2]), data)

    def _read_errors(self, descriptor: int, sock: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                _, ancillary, _, remote = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for _level, kind, payload in ancillary:
                if kind in (_IP_RECVERR, _IPV6_RECVERR) and remote and len(payload) >= 4:
                    (number,) = struct.unpack_from("=I", payload)
                    self._on_error(self._flow(descriptor, remote[:2]), describe_error(number))
