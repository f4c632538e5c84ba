"""What the daemon remembers of its sessions on the disk, so that the next one goes on with them.

Each session has a directory, ``sessions/ID`` in the data directory, for this user alone. It keeps
its place when the session is renamed, since the kernel's keeper writes there:

``session.json``
    :class:`SessionState`
``carried.msgpack``
    what is on its way (``session/carrying.py``), written whenever that changes
``connection.json``, ``launch.json``, …
    the kernel's traces (``kernels/keeping.py``)
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from proxy.errors import StoreError
from proxy.kernels.keeping import KernelDirectory
from proxy.open_files import FOR_KERNELS
from proxy.session import carrying
from proxy.session.carrying import Carried
from proxy.settings import data_dir
from proxy.wire.connection import ConnectionInfo

VERSION = 1
STATE = "session.json"
_CARRIED = "carried.msgpack"

Kind = Literal["shared", "exclusive", "replay", "read_only", "shim"]
"""What an endpoint is: the session's own; one that somebody asked for, alone; one whose new
subscribers are sent what they missed; one that may look and not touch; a kernelspec's."""


class EndpointState(msgspec.Struct, frozen=True, kw_only=True):
    """A set of ports: the same ones, with the same key, for as long as the session lives."""

    tag: str
    """The first frame of its clients' ids."""
    kind: Kind
    file: str
    """Its connection file. That of a shim is the frontend's, and not ours to write or remove."""
    info: ConnectionInfo
    owner_pid: int | None = None
    """The process that asked for a shim's."""


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel id that somebody was given (``attachments.py``)."""

    id: str
    created: float


class NotebookState(msgspec.Struct, frozen=True, kw_only=True):
    """What Jupyter's REST API calls a session: a notebook, or the like, on a kernel."""

    id: str
    kernel_id: str
    path: str
    name: str = ""
    type: str = "notebook"


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """All that it takes to go on with a session."""

    version: int = VERSION
    id: str
    name: str
    kernel_name: str
    language: str = ""
    notebook: str | None = None
    env_source: str = ""
    auto: bool = False
    """Whether its notebook chooses its kernel."""
    trust: str = ""
    environment: str = ""
    """The key of the environment in the store that its kernel is in, where it is there."""
    cwd: str | None = None
    env: dict[str, str] = {}
    """The kernel's environment: that of the command that asked for it."""
    arguments: tuple[str, ...] = ()
    created: float = 0.0
    key: str
    """For its kernel and all its ports: then no message need be signed again."""
    signature_scheme: str = "hmac-sha256"
    identity: str
    """kmux's routing identity at the kernel."""
    found: ConnectionInfo | None = None
    """Where a kernel listens that somebody else started (``kmux adopt``)."""
    restart: Literal["allow", "owner", "refuse"] = "allow"
    prompts: Literal["wait", "anyone"] = "wait"
    away_hours: float = 24.0
    idle_timeout_hours: float = 0.0
    max_age_hours: float = 0.0
    record: bool = True
    encrypt_kernel: bool = False
    endpoints: list[EndpointState] = []
    aliases: list[Alias] = []
    notebooks: list[NotebookState] = []


class SessionDirectory:
    """One session's directory."""

    def __init__(self, ident: str) -> None:
        self.path = sessions_directory() / ident

    @property
    def kernel(self) -> KernelDirectory:
        """Where its kernel's traces are."""
        return KernelDirectory(self.path, open_files=FOR_KERNELS)

    @property
    def is_begun(self) -> bool:
        """Whether it is a session's, and not only a kernel's that waits for one."""
        return (self.path / STATE).exists()

    def write(self, state: SessionState) -> None:
        """Keep the state, whole or not at all. Raises :class:`StoreError`."""
        self._replace(STATE, msgspec.json.format(msgspec.json.encode(state)))

    def read(self) -> SessionState:
        """Return the state. Raises :class:`StoreError` where it cannot be used."""
        return read_state(self.path)

    def keep_carried(self, raw: bytes) -> None:
        """Keep what is on its way. Raises :class:`StoreError`."""
        self._replace(_CARRIED, raw)

    def carried(self) -> Carried | None:
        """Return what was on its way, where that can be read. It is for one use."""
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return carrying.decode((self.path / _CARRIED).read_bytes())
        return None

    def remove(self) -> None:
        """Forget the session."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _replace(self, name: str, raw: bytes) -> None:
        """Write a file anew. It is not synced: it matters while this machine runs."""
        temporary = self.path / f".{name}.new"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(raw)
            temporary.replace(self.path / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StoreError(
                f"cannot write {self.path / name}: {error.strerror}; make room there, or set "
                "KMUX_DATA_DIR to another directory"
            ) from None


def read_state(directory: Path) -> SessionState:
    """Return the state in a session's directory. Raises :class:`StoreError`; one that is damaged
    is a :class:`DamagedState`."""
    path = directory / STATE
    try:
        state = msgspec.json.decode(path.read_bytes(), type=SessionState)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedState(
            f"{path} is damaged ({error}); kmux doctor --fix sets it aside"
        ) from None
    if state.version > VERSION:
        raise StoreError(f"{path} was written by a later version of kmux; upgrade this one")
    return state


class _Environment(msgspec.Struct):
    environment: str = ""


def environment_of(directory: Path) -> str:
    """Return the key of the environment of a session that cannot be gone on with, where its state
    has that: its kernel may live."""
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode((directory / STATE).read_bytes(), type=_Environment).environment
    return ""


class DamagedState(StoreError):
    """A session's state that is no state."""


def sessions_directory() -> Path:
    """Return where the sessions' directories are. Raises as :func:`data_dir`."""
    path = data_dir() / "sessions"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def known() -> list[SessionDirectory]:
    """Return all directories of sessions, those too whose state cannot be read."""
    return [each for each in _directories() if each.is_begun or not each.kernel.is_prewarmed]


def prewarmed() -> list[SessionDirectory]:
    """Return those whose kernel waits, or waited, for a session to come."""
    return [each for each in _directories() if each.kernel.is_prewarmed and not each.is_begun]


def _directories() -> list[SessionDirectory]:
    idents = sorted(path.name for path in sessions_directory().iterdir() if path.is_dir())
    return [SessionDirectory(ident) for ident in idents if not ident.startswith(".")]
