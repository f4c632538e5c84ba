"""What the control API is asked, and what it answers: the JSON on both sides of the Unix socket.

The field names of what a command shows are the keys of its ``--json``.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_NAME_CHARACTERS = 48
"""A Unix socket's path has some 100 bytes in all."""
AUTO = "auto"
"""The kernel that the notebook chooses, in the environment that it asks for."""
AUTO_DISPLAY_NAME = "The notebook's own environment"
AUTO_METADATA = {"debugger": True}
"""Of its kernelspec: JupyterLab has no debugger for a kernel whose kernelspec does not say so."""
SessionName = Annotated[
    str,
    Meta(
        extra_json_schema={
            "pattern": rf"^[A-Za-z0-9_][A-Za-z0-9._\-]{{0,{MAX_NAME_CHARACTERS - 1}}}$"
        }
    ),
]
"""What ``registry.check_name`` lets pass; that says better what is wrong with another one."""
Restart = Literal["allow", "owner", "refuse"]
Prompts = Literal["wait", "anyone"]


def timestamp(at: float) -> str:
    """Return a time for people and programs: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``kmux daemon status``."""

    pid: int
    version: str
    socket: str
    started: str
    """ISO 8601, UTC."""
    sessions: int = 0
    log_file: str = ""
    url: str = ""
    """Where it serves HTTP; ``kmux web`` has the token as well."""
    problem: str = ""
    """Why it does not, where it should, in one line."""
    broken: dict[str, str] = {}
    """Directories of sessions that it could not go on with, and why."""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux ps``, and more."""

    name: str
    kernel: str
    auto: bool = False
    """Whether its notebook has chosen that, and does so again with each restart."""
    language: str
    status: str
    """starting, idle, busy, restarting or dead."""
    clients: int
    pid: int | None
    connection_file: str
    notebook: str | None = None
    env_source: str = ""
    created: str = ""
    """ISO 8601, UTC."""
    environment: str = ""
    """The key of the environment in kmux's store; empty: it is not there."""
    preparing: str = ""
    """What is done before its kernel can start."""
    problem: str = ""
    """Why its kernel is dead, or what else a person should know, in one line."""
    daemon: bool = False
    """Whether the daemon has it; else ``kmux run``."""
    document: str | None = None
    """The automerge-repo URL of the record's root document, where it is recorded."""
    record_url: str | None = None
    """Where that is found: a WebSocket URL, with the token."""


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """Have a kernel, in a session of its own."""

    kernel: str
    """A kernelspec's name, or "auto"."""
    trust: str = ""
    """Whether what a notebook lists may be installed that Jupyter does not trust: "yes", or the
    fingerprint of what a person has agreed to."""
    name: SessionName | None = None
    """None: one that is made of the notebook's or the kernel's."""
    notebook: str | None = None
    """The absolute path of the notebook that it is for."""
    find: bool = False
    """Whether a session that this notebook has already will do."""
    cwd: str | None = None
    env: dict[str, str] = {}
    arguments: tuple[str, ...] = ()
    """Appended to the kernelspec's command line."""
    restart: Restart | None = None
    """None, here and below: as the settings say."""
    prompts: Prompts | None = None
    away_hours: float | None = None
    idle_timeout_hours: float | None = None
    max_age_hours: float | None = None
    record: bool | None = None
    encrypt_kernel: bool = False


class PoolKind(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux pool status``: environments of one kind that wait."""

    kind: str
    wanted: int
    ready: int
    kernels: int
    """In how many of them a kernel waits."""
    oldest: str | None = None
    """When that was made: ISO 8601, UTC."""
    making: str | None = None
    """What is done to make another one just now."""
    problem: str | None = None
    """Why the latest one could not be made, in one line."""
    retry: str | None = None
    """When that is tried again: ISO 8601, UTC."""


class PoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``kmux pool status``."""

    kinds: list[PoolKind]


class ThrownAway(msgspec.Struct, frozen=True):
    """How many environments waited, and wait no more."""

    count: int


class StartNews(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a session that is begun: steps, and then the session or why there is none."""

    step: str = ""
    name: str = ""
    """Of the session that begins, so that who waits knows it if the daemon ends meanwhile."""
    session: SessionInfo | None = None
    problem: str = ""
    reason: str = ""
    """The kind of error that the problem is."""


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """Share a kernel that somebody else started."""

    connection_file: str
    name: SessionName | None = None


class Rename(msgspec.Struct, frozen=True, kw_only=True):
    """Call a session otherwise."""

    name: SessionName


class AttachRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Have a set of ports. Without any wish: the session's own."""

    kind: Literal["shared", "exclusive", "replay", "read_only"] = "shared"


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """A set of ports: ``kmux attach``."""

    name: str
    kind: str
    connection_file: str


class ShimRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Serve a session on the ports that a frontend has chosen, as a kernelspec's kernel would.

    The answer is a stream of :class:`ShimNews`. Hanging up takes the ports away, and leaves the
    session.
    """

    connection_file: str
    """The frontend's, with the ports and the key."""
    owner_pid: int
    """The frontend's process."""
    name: str | None = None
    """An existing session; None: the one that this file was served by before."""
    new: NewSession | None = None
    """Where there is none: the session that is begun. None: then it is an error."""
    restart: bool = False
    """Whether the frontend had its kernel ended, to have another one now."""


class ShimNews(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a shim."""

    event: Literal["attached", "restart", "goodbye", "ended", "replaced", "moving"]
    """Served now; the frontend wants its kernel again at once, or not any more; the session is
    over; another shim has the ports; the daemon ends, and another one goes on. All but the first
    are the last."""
    name: str
    status: int | None = None
    """The kernel's exit status, where it has ended."""
    problem: str = ""
    """Why the session is over where it should not be, or what else a person should know."""
    reason: str = ""
    """The kind of error that a problem is, where it is one."""


class ShimCalled(msgspec.Struct, frozen=True, kw_only=True):
    """Which shim is meant."""

    connection_file: str


class OutputFile(msgspec.Struct, frozen=True):
    """Where the kernel's own output is."""

    file: str


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux queue``: a cell that runs or waits."""

    state: str
    since: str | None = None
    """Since when it runs: ISO 8601, UTC."""
    client: str
    msg_id: str
    subshell_id: str | None
    code: str


class ClientEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux clients``."""

    name: str
    kind: str
    """The kind of its endpoint."""
    since: str
    """ISO 8601, UTC."""
    waiting: int
    """Its cells that wait."""


class Flushed(msgspec.Struct, frozen=True):
    """Whether all that a session knows is on the disk now."""

    durable: bool


class Cancelled(msgspec.Struct, frozen=True):
    """How many cells will not run for the asking."""

    count: int
