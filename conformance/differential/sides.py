"""A kernel reached directly and one through kmux, with a client on each, in step."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import zmq
from jupyter_client.kernelspec import KernelSpecManager

from conformance.differential.client import Client
from conformance.differential.conversation import Conversation
from conformance.differential.talk import Transcript, converse
from conformance.errors import ConformanceError

Way = Literal["direct", "kmux"]

KERNEL = "python3"
CONNECTION_FILE, LOG = "connection.json", "log"
CONFIG = "c.InteractiveShell.enable_tip = False\nc.IPCompleter.use_jedi = False\n"
"""The banner, a part of kernel_info_reply, otherwise has a tip by chance. Jedi takes seconds at
first, and gives up by the clock."""
START_SECONDS = 60.0
STOP_SECONDS = 10.0
_FOREIGN = ("JUPYTER", "JPY_", "IPYTHON", "KMUX", "XDG_", "PYTHON")
"""Settings of the caller that a kernel or kmux would heed."""
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl
_talks = itertools.count(1)


class Side:
    """One kernel, and a client that talks to it. Made by :func:`open_side`."""

    def __init__(
        self, way: Way, process: subprocess.Popen[bytes], root: Path, session: str
    ) -> None:
        self.way = way
        self.known: dict[str | int, str] = {str(root): "<root>"}
        """Values of this side's own, and what they are called in what is compared."""
        self._process = process
        self._file = root / CONNECTION_FILE
        self._log = root / LOG
        self._session = session
        self._read = 0

    def attach(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Wait until the kernel is there and connect to it. Raises :class:`ConformanceError`."""
        try:
            info = self._connection()
            self.known |= {info[key]: f"<{key}>" for key in info if key.endswith("_port")}
            self._client = Client(context, info, self._session)
            self._client.attach()
        except ConformanceError as error:
            raise ConformanceError(f"{self.way}: {error}: {self._last_words()}") from None

    def converse(self, conversation: Conversation, talk: str) -> Transcript:
        """Have this side of a conversation."""
        return converse(self._client, conversation, talk)

    @property
    def ended(self) -> str:
        """How the process ended, if it did."""
        status = self._process.poll()
        return "" if status is None else f"ended with status {status}: {self._last_words()}"

    def new_log_lines(self) -> list[str]:
        """What it has logged since it was last asked."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        return new.decode(errors="replace").splitlines()

    def _connection(self) -> dict[str, Any]:
        """Wait for the connection file, which says what ports the kernel has taken."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.ended:
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # or half of it
                info: dict[str, Any] = json.loads(self._file.read_bytes())
                return info
            time.sleep(0.01)
        raise ConformanceError(f"no connection file in {START_SECONDS:.0f} s")

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:].strip()


class Pair:
    """The two sides. Use it as a context manager."""

    def __init__(self, ways: tuple[Way, Way] = ("direct", "kmux")) -> None:
        self._ways = ways
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Pair:
        with contextlib.ExitStack() as stack:
            context = stack.enter_context(open_context())
            session = secrets.token_hex(8)
            self.sides = [stack.enter_context(open_side(way, session)) for way in self._ways]
            self._threads = stack.enter_context(ThreadPoolExecutor(2))
            list(self._threads.map(lambda side: side.attach(context), self.sides))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def converse(self, conversation: Conversation) -> tuple[Transcript, Transcript]:
        """Have the same conversation on both sides at once."""
        talk = new_talk()
        futures = [self._threads.submit(s.converse, conversation, talk) for s in self.sides]
        first, second = (future.result() for future in futures)
        return first, second


def new_talk() -> str:
    """Return what begins the ids of one conversation's messages."""
    return f"talk{next(_talks):06}"


@contextlib.contextmanager
def open_context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """Make a ZMQ context. Its sockets are closed with it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


@contextlib.contextmanager
def open_side(way: Way, session: str) -> Iterator[Side]:
    """Start a kernel with a home of its own, which chooses its ports; nobody is attached yet."""
    root = Path(tempfile.mkdtemp(prefix="kd-"))  # short: it holds Unix sockets
    try:
        with _running(_command(way, root / CONNECTION_FILE), _environment(root), root) as process:
            yield Side(way, process, root, session)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _command(way: Way, file: Path) -> list[str]:
    if way == "kmux":
        return [sys.executable, "-m", "proxy", "run", "--kernel", KERNEL, "-f", str(file)]
    argv = KernelSpecManager().get_kernel_spec(KERNEL).argv
    return [sys.executable, *(part.format(connection_file=file) for part in argv[1:])]


def _environment(root: Path) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    for variable, part in {
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "KMUX_RUNTIME_DIR": "k",
        "KMUX_DATA_DIR": "d",
    }.items():
        (root / part).mkdir(mode=0o700)
        environment[variable] = str(root / part)
    profile = root / "ipython" / "profile_default"
    profile.mkdir()
    (profile / "ipython_config.py").write_text(CONFIG)
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    environment["PYTHONHASHSEED"] = "0"  # completions have the order of a set
    environment["KMUX_LOG_LEVEL"] = "warning"
    return environment


@contextlib.contextmanager
def _running(
    command: list[str], environment: dict[str, str], root: Path
) -> Iterator[subprocess.Popen[bytes]]:
    parent = os.getpid()

    def die_with_parent() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    with (root / LOG).open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=root / "home",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a kernel that leads its group interrupts the group
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the other threads are libzmq's
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
