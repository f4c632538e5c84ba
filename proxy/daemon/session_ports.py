"""The ports of one session: its own, those that somebody asked for, and those of frontends' files.

Each set of ports is an endpoint with its traces in the session's state, so that the next daemon
binds the same ones, with the same keys.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal

from jupyter_core.paths import jupyter_runtime_dir

from proxy import open_files
from proxy.daemon.kept_state import KeptState
from proxy.daemon.state import EndpointState, Kind
from proxy.endpoints.zmq import ZmqEndpoint
from proxy.errors import ConfigError
from proxy.hosting import HostedSession
from proxy.logs import log
from proxy.message import ClientId
from proxy.session.carrying import Carried
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo

SHARED_TAG = b"zmq"

Parting = Literal["restart", "goodbye", "ended"]
"""A shim's frontend wants its kernel again at once, or not any more; or the session is over."""
Parted = Callable[[Parting], None]


class SessionPorts:
    """All sets of ports of a session."""

    def __init__(self, kept: KeptState, hosted: Callable[[], HostedSession]) -> None:
        """``hosted`` returns the session's parts, which come to be after this."""
        self.problems: list[str] = []
        """Which of them could not be had again, each in one line."""
        self._hosted = hosted
        self._kept = kept
        self._endpoints: dict[str, ZmqEndpoint] = {}
        self._shims: dict[bytes, Parted] = {}

    def all(self) -> list[ZmqEndpoint]:
        """Return those that are bound."""
        return list(self._endpoints.values())

    def attach(self, kind: Kind) -> EndpointState:
        """Return a set of ports of this kind: the one that there is, or (exclusive) another one.

        Raises :class:`ConfigError` and :class:`StoreError` where that cannot be.
        """
        state = self._kept.now
        same = [each for each in state.endpoints if each.kind == kind]
        if same and kind != "exclusive":
            return same[0]
        open_files.check_room()
        what = {"shared": "", "exclusive": f"-{len(same) + 1}"}.get(kind, f"-{kind}")
        file = _free_file(f"kernel-kmux-{state.name}{what.replace('_', '-')}")
        tag = SHARED_TAG if kind == "shared" else secrets.token_hex(4).encode()
        fresh = ConnectionInfo(
            key=state.key,
            signature_scheme=state.signature_scheme,
            extra={"kernel_name": state.kernel_name},
        )
        info = self._bind(fresh, tag, kind).info
        connection.write(file, info)
        endpoint = EndpointState(tag=tag.decode(), kind=kind, file=str(file), info=info)
        self._kept.change(endpoints=[*state.endpoints, endpoint])
        return endpoint

    # Frontends' files, which shims and provisioners ask for

    def shims(self) -> list[EndpointState]:
        """Return the ports of frontends on which it is served."""
        return [each for each in self._kept.now.endpoints if each.kind == "shim"]

    def shim(self, file: str) -> EndpointState | None:
        """Return the ports of a frontend's file, if it is served on them."""
        return next((each for each in self.shims() if each.file == file), None)

    def attach_shim(self, file: str, info: ConnectionInfo, owner_pid: int, parted: Parted) -> bytes:
        """Serve on a frontend's ports. Returns the tag with which to take them away again.

        Where it is served there already nobody notices anything. Raises :class:`Conflict` where
        one of them is taken.
        """
        open_files.check_room()
        tag = b"shim-" + hashlib.sha256(file.encode()).hexdigest()[:12].encode()
        wanted = EndpointState(
            tag=tag.decode(), kind="shim", file=file, info=info, owner_pid=owner_pid
        )
        if tag.decode() not in self._endpoints or self.shim(file) != wanted:
            self.detach(tag)
            self._bind(info, tag, "shim", owner_pid)
            self._kept.keep(endpoints=[*self._kept.now.endpoints, wanted])
        self._shims[tag] = parted
        return tag

    def detach(self, tag: bytes) -> None:
        """Serve a set of ports no more."""
        self._shims.pop(tag, None)
        self._endpoints.pop(tag.decode(), None)
        self._hosted().runner.detach(tag)
        before = self._kept.now.endpoints
        left = [each for each in before if each.tag != tag.decode()]
        if left != before:
            self._kept.keep(endpoints=left)

    def client_parted(self, client: ClientId, restart: bool) -> None:
        """A frontend has said goodbye: what stands for its kernel is told."""
        parted = self._shims.get(client[0])
        if parted is not None:
            parted("restart" if restart else "goodbye")

    def ended(self) -> None:
        """The session is over: what stands for it is told."""
        for parted in tuple(self._shims.values()):
            parted("ended")

    # Over a change of daemons

    def bind_again(self, carried: Carried) -> None:
        """Bind the ports that it had. Those that somebody else has by now are its problem.

        A frontend's are bound as well: its shim is about to ask for them, also for those that
        could not be had, and until then answers find their way.
        """
        endpoints = self._kept.now.endpoints
        self._kept.keep(
            endpoints=[e for e in endpoints if e.owner_pid is None or _runs(e.owner_pid)]
        )
        for each in self._kept.now.endpoints:
            try:
                tag = each.tag.encode()
                endpoint = self._bind(each.info, tag, each.kind, each.owner_pid)
                endpoint.await_return_of(carried.listeners.get(each.tag, 0))
                if each.kind != "shim":
                    connection.write(Path(each.file), each.info)
            except ConfigError as error:
                log().error("session.port_lost", why=str(error))
                if each.kind != "shim":
                    self.problems.append(str(error))

    def listeners(self) -> dict[str, int]:
        """Count the subscribers of each endpoint, by its tag."""
        return {tag: len(endpoint.subscribers) for tag, endpoint in self._endpoints.items()}

    def stop_listening(self) -> None:
        """Let nobody connect any more; the endpoints have hung up."""
        for endpoint in self._endpoints.values():
            endpoint.stop_listening()

    def forget_missed(self) -> None:
        """Whoever listened to an earlier daemon has had the time to come back."""
        for endpoint in self._endpoints.values():
            endpoint.forget_missed()

    def _bind(
        self, info: ConnectionInfo, tag: bytes, kind: Kind, owner_pid: int | None = None
    ) -> ZmqEndpoint:
        endpoint = self._hosted().attach(
            info,
            tag,
            owner_pid=owner_pid,
            replays=kind == "replay",
            read_only=kind == "read_only",
        )
        self._endpoints[tag.decode()] = endpoint
        return endpoint


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _free_file(stem: str) -> Path:
    """Return a connection file of this name, or one like it: a session that was called so before it
    was renamed has the first one still, or another session's further ports have."""
    directory = Path(jupyter_runtime_dir())
    names = (stem if number == 1 else f"{stem}.{number}" for number in count(1))
    files = (directory / f"{name}.json" for name in names)
    return next(file for file in files if not _is_served(file))


def _is_served(file: Path) -> bool:
    """Whether anybody listens where a connection file says. One that was left is nobody's."""
    try:
        info = connection.read(file)
    except ConfigError:
        return False
    with socket.socket() as probe:
        return probe.connect_ex((info.ip, info.shell_port)) == 0
