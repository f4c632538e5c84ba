"""A kernel that outlives kmux: what keeps it, and the traces by which the next kmux finds it.

Such a kernel is no child of kmux but of a keeper, a shell of some lines (:data:`_KEEPER`) in a
process group with it. The keeper writes down who it is before the kernel begins, and how the
kernel ended: a process that is not its parent could not learn that. It ignores the signals that
are meant for the kernel's group. What the kernel writes goes to a file, since a pipe would break
with kmux.

A kernel's directory has, beside what others keep there:

``connection.json``
    its connection file
``launch.json``
    :class:`Launch`
``keeper``
    the keeper's line in /proc/PID/stat: its pid, and when it began, so that a process that has got
    the same pid later is not taken for it
``pid``
    the kernel's process
``exit``
    its exit status as a shell has it, once it has ended
``output.log``
    what it wrote to stdout and stderr
``prewarmed``
    while it waits (``warm.py``) and belongs to no session
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import msgspec

from proxy.errors import StoreError
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo

CONNECTION = "connection.json"
_LAUNCH = "launch.json"
_KEEPER_LINE = "keeper"
_PID = "pid"
_EXIT = "exit"
OUTPUT = "output.log"
PREWARMED = "prewarmed"

MAX_OUTPUT_BYTES = 16 * 1024 * 1024
KEPT_OUTPUT_BYTES = 4 * 1024 * 1024
"""What is left of a longer one, from its end."""

# A shell's handlers, unlike what it ignores, are not inherited by what it runs.
_KEEPER = """
d=$1; n=$2; shift 2
[ -z "$n" ] || ulimit -Sn "$n"
read -r line < /proc/$$/stat && echo "$line" > "$d/keeper"
trap : INT TERM HUP QUIT USR1 USR2
/bin/sh -c 'echo $$ > "$1/pid"; shift; exec "$@"' kmux-keeper "$d" "$@"
status=$?
echo $status > "$d/exit.new" && mv "$d/exit.new" "$d/exit"
exit $status
"""

_START_TIME = 19
"""Which field of /proc/PID/stat, behind the name in parentheses, is when the process began."""
_SHELL_SIGNALS = 128


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kernel before it begins."""

    kernel_name: str
    interrupt_mode: str
    identity: str
    """kmux's routing identity at the kernel: it sends its replies there."""


class KernelDirectory:
    """Where one session's kernel leaves its traces. Files are for this user alone."""

    def __init__(self, path: Path, open_files: int | None = None) -> None:
        """``open_files`` is how many a kernel may have, where that is fewer than we may."""
        self.path = path
        self._open_files = open_files

    @property
    def connection_file(self) -> Path:
        return self.path / CONNECTION

    @property
    def output_file(self) -> Path:
        return self.path / OUTPUT

    @property
    def is_prewarmed(self) -> bool:
        """Whether the kernel is nobody's yet."""
        return os.path.exists(self.path / PREWARMED)

    def command(self) -> list[str]:
        """Return what goes ahead of a kernel's command line."""
        limit = "" if self._open_files is None else str(self._open_files)
        return ["/bin/sh", "-c", _KEEPER, "kmux-keeper", str(self.path), limit]

    def begin(self, launch: Launch, *, prewarmed: bool = False) -> int:
        """Clear the last kernel's traces away. Returns a descriptor for what the next one writes.

        ``prewarmed`` is whether it is nobody's until :meth:`belongs`. Raises :class:`StoreError`
        where that cannot be.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if prewarmed:
                (self.path / PREWARMED).touch(mode=0o600)
            else:
                self.belongs()
            self.forget()
            raw = msgspec.json.encode(launch)
            descriptor = os.open(self.path / _LAUNCH, os.O_WRONLY | os.O_CREAT, 0o600)
            with open(descriptor, "wb") as file:
                file.write(raw)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            return os.open(self.output_file, flags, 0o600)
        except OSError as error:
            raise StoreError(
                f"cannot write to {self.path}: {error.strerror}; make room there, or set "
                "KMUX_DATA_DIR to another directory"
            ) from None

    def belongs(self) -> None:
        """Let a prewarmed kernel be a session's."""
        (self.path / PREWARMED).unlink(missing_ok=True)

    def forget(self) -> None:
        """Take the traces of a kernel that has ended away, but for its output."""
        for name in (CONNECTION, _LAUNCH, _KEEPER_LINE, _PID, _EXIT):
            (self.path / name).unlink(missing_ok=True)

    def launch(self) -> Launch | None:
        """Return what is known of the kernel that was launched last, if one was."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.path / _LAUNCH).read_bytes(), type=Launch)
        return None

    def info(self) -> ConnectionInfo:
        """Return where that kernel listens. Raises :class:`ConfigError` where it is not known."""
        return connection.read(self.connection_file)

    def keeper_pid(self) -> int | None:
        """Return the process that keeps the kernel, if it lives: it ends when the kernel does."""
        begun = _fields(self._read(_KEEPER_LINE))
        if begun is None:
            return None
        pid = begun[0]
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        return pid if _fields(stat) == begun and not _is_zombie(stat) else None

    def kill(self) -> None:
        """End the kernel that was left here at once, and its keeper, if they live."""
        if (keeper := self.keeper_pid()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(keeper, signal.SIGKILL)

    def pid(self) -> int | None:
        """Return the kernel's own process."""
        text = self._read(_PID).strip()
        return int(text) if text.isdigit() else None

    def exit_status(self) -> int | None:
        """Return how it ended: its exit status, negative for a signal. None where nobody saw."""
        text = self._read(_EXIT).strip()
        if not text.isdigit():
            return None
        status = int(text)
        return status if status <= _SHELL_SIGNALS else _SHELL_SIGNALS - status

    def last_output(self, lines: int) -> list[str]:
        """Return the last lines that it wrote."""
        return tail(self.output_file, lines)

    def bound_output(self) -> None:
        """Let go of the beginning of an output that is too long. Its writers append."""
        with contextlib.suppress(OSError):
            size = self.output_file.stat().st_size
            if size <= MAX_OUTPUT_BYTES:
                return
            with self.output_file.open("r+b") as file:
                file.seek(size - KEPT_OUTPUT_BYTES)
                file.readline()
                kept = file.read()
                file.seek(0)
                file.truncate()
            with self.output_file.open("ab") as file:
                file.write(kept)

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text(errors="replace")
        except OSError:
            return ""


def tail(path: Path, lines: int, chunk_bytes: int = 64 * 1024) -> list[str]:
    """Return the last lines of a text file; of the end of a long one only."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - chunk_bytes))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def _fields(stat: str) -> tuple[int, int] | None:
    """Return pid and start time of a line of /proc/PID/stat."""
    before, _, after = stat.rpartition(")")
    try:
        return int(before.partition(" ")[0]), int(after.split()[_START_TIME])
    except (ValueError, IndexError):
        return None


def _is_zombie(stat: str) -> bool:
    return stat.rpartition(")")[2].split()[0] == "Z"
