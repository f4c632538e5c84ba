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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import KernelSpecManager

from conformance.differential.client import Client
from conformance.differential.conversation import Conversation
from conformance.differential.talk import Transcript, converse
from conformance.errors import ConformanceError

Way = Literal["direct", "kmux"]

KERNEL = "python3"
CONFIG = "c.InteractiveShell.enable_tip = False\nc.IPCompleter.use_jedi = False\n"
"""The banner, a part of kernel_info_reply, otherwise has a tip by chance. Jedi takes seconds at
first, and gives up by the clock."""
STOP_SECONDS = 10.0
_FOREIGN = ("JUPYTER", "JPY_", "IPYTHON", "KMUX", "XDG_", "PYTHON")
"""Settings of the caller that a kernel or kmux would heed."""
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl
_talks = itertools.count(1)


class Side:
    """One kernel, and a client that talks to it. Made by :func:`open_side`."""

    def __init__(
        self,
        way: Way,
        client: Client,
        process: subprocess.Popen[bytes],
        root: Path,
        known: dict[str | int, str],
    ) -> None:
        self.way = way
        self.known = known
        """Values of this side's own, and what they are called in what is compared."""
        self._client = client
        self._process = process
        self._log = root / "log"
        self._read = 0

    def converse(self, conversation: Conversation, talk: str) -> Transcript:
        return converse(self._client, conversation, talk)

    def attach(self) -> None:
        try:
            self._client.attach()
        except ConformanceError as error:
            raise ConformanceError(f"{self.way}: {error}: {self._last_words()}") from None

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
            sides = [stack.enter_context(open_side(context, way, session)) for way in self._ways]
            self._threads = stack.enter_context(ThreadPoolExecutor(2))
            list(self._threads.map(Side.attach, sides))
            self.sides = tuple(sides)
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
    """Make a ZMQ context; its sockets are closed with it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


@contextlib.contextmanager
def open_side(context: zmq.Context[zmq.Socket[bytes]], way: Way, session: str) -> Iterator[Side]:
    """Start a kernel with a home of its own; it is not attached to yet."""
    root = Path(tempfile.mkdtemp(prefix="kd-"))  # short: it holds Unix sockets
    try:
        environment = _environment(root)
        file = root / "connection.json"
        write_connection_file(str(file), key=secrets.token_hex(16).encode(), kernel_name=KERNEL)
        with _running(_command(way, file), environment, root) as process:
            info = json.loads(file.read_bytes())
            known = {info[key]: f"<{key}>" for key in info if key.endswith("_port")}
            client = Client(context, info, session)
            try:
                yield Side(way, client, process, root, {str(root): "<root>", **known})
            finally:
                client.close()
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

    with (root / "log").open("wb") as log:
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
