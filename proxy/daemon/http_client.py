"""Ask the daemon, by HTTP on its Unix socket: for commands, which have no loop and start fast.

Nothing is imported here but what is needed for that: neither trio, zmq nor automerge, and h11 as at
the other side, since the standard library's client takes twice the time (it parses e-mail).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import h11
import msgspec

from proxy.endpoints.peers import peer_of
from proxy.errors import ConfigError, DaemonGone, DaemonSilent, KmuxError, of_kind

if TYPE_CHECKING:
    from pathlib import Path  # 3 ms

ANSWER_SECONDS = 10.0
"""How long the daemon may take for an answer, where nothing else is said."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_BUSY_SECONDS = 0.01
"""Until it is tried again where too many want to connect."""
_JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Those of ``message.py``, which takes a millisecond to import."""

T = TypeVar("T")


class DaemonClient:
    """Asks the daemon that listens on ``path``. Each request has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        into: type[T],
        timeout: float = ANSWER_SECONDS,
    ) -> T:
        """Ask, and return the answer as what it is to be; ``type(None)`` is for an empty one.

        Raises what the daemon did (:class:`KmuxError`), with its message;
        :class:`DaemonGone` where nobody listens, and :class:`DaemonSilent` where there is no
        answer in ``timeout`` seconds.
        """
        with _exchange(self._path, timeout) as exchange:
            exchange.ask(method, target, body)
            return _decoded(exchange.whole_answer() or b"null", into)

    @contextmanager
    def lines(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        into: type[T],
        timeout: float = ANSWER_SECONDS,
    ) -> Iterator[Iterator[T]]:
        """Ask, and iterate over an answer of JSON lines as they come, for as long as they do.

        ``timeout`` is until it begins. The daemon is hung up on when the context is left. Raises
        as :meth:`request` does, and :class:`DaemonSilent` where the answer breaks off.
        """
        with _exchange(self._path, timeout) as exchange:
            exchange.ask(method, target, body)
            exchange.deadline = None
            yield (_decoded(line, into) for line in exchange.lines())


@contextmanager
def _exchange(path: Path, timeout: float) -> Iterator[_Exchange]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        exchange = _Exchange(connection, time.monotonic() + timeout)
        exchange.connect(path)
        yield exchange


class _Exchange:
    """One request and its answer. ``deadline`` is for all of it; None is never."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.deadline: float | None = deadline
        self._socket = connection
        self._http = h11.Connection(h11.CLIENT)

    def connect(self, path: Path) -> None:
        """Raises :class:`DaemonGone`, and :class:`ConfigError` where one may listen."""
        while True:
            try:
                self._patient().connect(str(path))
            except BlockingIOError:  # too many wait for it already
                time.sleep(_BUSY_SECONDS)
            except (FileNotFoundError, ConnectionRefusedError):
                raise DaemonGone(f"no daemon listens on {path}; start one") from None
            except TimeoutError:
                raise _late() from None
            except OSError as error:
                why = error.strerror or error
                raise ConfigError(f"cannot reach a daemon on {path}: {why}") from None
            else:
                break
        peer = peer_of(self._socket)
        if not peer.may_come_in:
            raise ConfigError(f"another user ({peer.uid}) listens on {path}; remove it")

    def ask(self, method: str, target: str, body: object) -> None:
        """Send the request, and read the answer's head. Raises what the daemon did."""
        content = b"" if body is None else msgspec.json.encode(body)
        headers = [("Host", "localhost"), ("Connection", "close"), ("Accept", "application/json")]
        if content:
            headers.append(("Content-Type", "application/json"))
            headers.append(("Content-Length", str(len(content))))
        asked = self._http.send(h11.Request(method=method, target=target, headers=headers))
        asked += self._http.send(h11.Data(content)) + self._http.send(h11.EndOfMessage())
        try:
            self._patient().sendall(asked)
        except TimeoutError:
            raise _late() from None
        except OSError:
            pass  # it does not want all of it, and may have said why
        head = self._next_event()
        if not isinstance(head, h11.Response):
            raise DaemonSilent("the daemon hung up without an answer; its log may say why")
        if head.status_code >= 300:
            raise _error(head.status_code, self.whole_answer())

    def whole_answer(self) -> bytes:
        """Read the answer's body to its end."""
        content = bytearray()
        for piece in self._pieces():
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise KmuxError(f"the daemon's answer has more than {MAX_ANSWER_BYTES} bytes")
        return bytes(content)

    def lines(self) -> Iterator[bytes]:
        """Read the answer's body line by line, each as soon as it is there. Empty ones are left
        out: they only show that somebody is alive."""
        rest = bytearray()
        for piece in self._pieces():
            searched = len(rest)
            rest += piece
            while (end := rest.find(b"\n", searched)) >= 0:
                line, searched = bytes(rest[:end]), 0
                del rest[: end + 1]
                if line:
                    yield line
            if len(rest) > MAX_LINE_BYTES:
                raise KmuxError(f"a line of the daemon has more than {MAX_LINE_BYTES} bytes")
        if rest:
            yield bytes(rest)

    def _pieces(self) -> Iterator[bytes]:
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise DaemonSilent(f"the daemon broke off its answer: {error}") from None
            if event is h11.NEED_DATA:
                self._http.receive_data(self._receive())
            elif not isinstance(event, h11.InformationalResponse):
                return event  # type: ignore[return-value]  # which cannot be NEED_DATA

    def _receive(self) -> bytes:
        try:
            return self._patient().recv(_CHUNK_BYTES)
        except TimeoutError:
            raise _late() from None
        except OSError:
            return b""

    def _patient(self) -> socket.socket:
        """Return the socket, with the time that is left. Raises :class:`TimeoutError`."""
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._socket


class _Refusal(msgspec.Struct, frozen=True):
    message: str
    reason: str | None = None


def _error(status: int, body: bytes) -> KmuxError:
    """Make an error again of what the daemon was met with."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except _JSON_ERRORS:
        return KmuxError(f"the daemon answered with status {status}; its log may say why")
    kind = ConfigError if status < 500 else KmuxError
    return of_kind(refusal.reason or "", refusal.message) or kind(refusal.message)


def _decoded(content: bytes, into: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=into)
    except _JSON_ERRORS as error:
        raise ConfigError(
            f"the daemon's answer is not what was expected ({error}); if it is of another version "
            "of kmux, restart it"
        ) from None


def _late() -> DaemonSilent:
    return DaemonSilent("the daemon did not answer in time; its log may say why")
