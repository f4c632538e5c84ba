"""A real ``kmux run`` or daemon for tests, with real frontends; nothing of it outlives them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
from jupyter_client import BlockingKernelClient, KernelManager

from proxy.record.loading import WholeRecord, load

DEADLINE = 30.0
BIN = Path(sys.executable).parent
OUTSIDE = ("JUPYTER", "KMUX", "JPY", "XDG_CONFIG", "XDG_CACHE")
"""Variables of whoever runs the tests that would reach into them."""


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait until the condition holds and return its value; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return value


def has_ended(pid: int) -> bool:
    """Whether a process has; its parent may not have looked."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Workplace:
    """A home, Jupyter directories and kernelspecs of the test's own."""

    def __init__(self, root: Path, runtime: Path) -> None:
        self.root = root
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(OUTSIDE)},
            "HOME": str(root),
            "IPYTHONDIR": str(root / "ipython"),
            "JUPYTER_PATH": str(root / "jupyter"),
            "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
            "JUPYTER_PLATFORM_DIRS": "0",
            "KMUX_RUNTIME_DIR": str(runtime),
            "KMUX_DATA_DIR": str(root / "data"),
            "KMUX_POOL_UV": "0",
            "KMUX_POOL_CONDA": "0",
            "KMUX_LOG_LEVEL": "info",
            "KMUX_DAEMON_EXECUTION": "false",
            # ipykernel's debugger warns on stderr, in whoever's cell runs by then.
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        (root / "runtime").mkdir()
        self.kernelspec("deno", [str(BIN / "deno"), "jupyter", "--kernel", "--conn"], "typescript")
        self.kernelspec("bash", [sys.executable, "-m", "bash_kernel", "-f"], "bash")

    def kernelspec(self, name: str, argv: list[str], language: str, **more: Any) -> None:
        """Install a kernelspec; the connection file is appended to its argv."""
        directory = self.root / "jupyter" / "kernels" / name
        directory.mkdir(parents=True)
        spec = {"argv": [*argv, "{connection_file}"], "display_name": name, "language": language}
        (directory / "kernel.json").write_text(json.dumps({**spec, **more}))

    def kmux(
        self, *arguments: str, timeout: float = DEADLINE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a kmux command to its end."""
        command = ("-m", "proxy", *arguments)
        return self.run_python(sys.executable, *command, timeout=timeout, **environment)

    def run_python(
        self, python: Path | str, *arguments: str, timeout: float = DEADLINE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run an interpreter to its end."""
        return subprocess.run(
            [python, *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @contextmanager
    def kernel(self, name: str = "python3") -> Iterator[tuple[Path, Client]]:
        """Run a kernel without kmux, as another program would. Yields its file and a client."""
        manager = KernelManager(kernel_name=name)
        manager.start_kernel(env=self.environment)
        client = Client(connection_file=manager.connection_file)
        try:
            client.load_connection_file()
            client.start_channels()
            client.attach()
            yield Path(manager.connection_file), client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()

    def record(self, name: str) -> WholeRecord:
        """What is on the disk of a session, by now."""
        return load(self.root / "data" / "records" / name)

    @contextmanager
    def run(self, *arguments: str, **environment: str) -> Iterator[Kmux]:
        """Run ``kmux run`` in the background, until the block is left."""
        log = (self.root / f"kmux-{time.monotonic_ns()}.log").open("w+")
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "run", *arguments],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        kmux = Kmux(self, process, Path(log.name))
        try:
            yield kmux
        finally:
            children = kmux.children()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"kmux did not end: {kmux.log()[-2000:]}") from None
            finally:
                kmux.stop_clients()
                assert process.stdout is not None
                process.stdout.close()
                log.close()
            _, alive = psutil.wait_procs(children, timeout=5)
            for child in alive:
                child.kill()
            assert not alive, f"outlived kmux: {alive}"

    @contextmanager
    def daemon(self) -> Iterator[Daemon]:
        """Have the daemon, which the first command starts, until the block is left."""
        daemon = Daemon(self)
        try:
            yield daemon
        finally:
            try:
                daemon.stop_clients()
                stopped = self.kmux("daemon", "stop", "--all")
            finally:
                left = self.end_processes()
        assert stopped.returncode == 0, stopped.stderr
        assert not left, f"outlived the daemon: {left}"

    def processes(self) -> list[psutil.Process]:
        """All processes that have this home: the daemon, kernels and their keepers, frontends."""

        def is_here(process: psutil.Process) -> bool:
            try:
                return process.environ().get("HOME") == str(self.root)
            except psutil.Error:  # it has just ended
                return False

        return [process for process in psutil.process_iter() if is_here(process)]

    def end_processes(self) -> list[psutil.Process]:
        """End whatever runs here. Returns those that did not end of themselves."""
        _, left = psutil.wait_procs(self.processes(), timeout=5)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=5)
        return left


class Frontends:
    """Real frontends, which are stopped together."""

    def __init__(self) -> None:
        self._clients: list[BlockingKernelClient] = []

    def attach(
        self, file: Path | str, *, ready: bool = True, identity: str | None = None
    ) -> Client:
        """Attach a jupyter_client."""
        client = Client(connection_file=str(file))
        client.load_connection_file()
        if identity:
            client.session.session = identity
        client.start_channels()
        self._clients.append(client)
        if ready:
            client.attach()
        return client

    def stop_clients(self) -> None:
        for client in self._clients:
            client.stop_channels()
        self._clients.clear()


class Daemon(Frontends):
    """The daemon of a workplace, as commands have it."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__()
        self.workplace = workplace

    def kmux(self, *arguments: str, timeout: float = DEADLINE, **environment: str) -> str:
        """Run a command that must succeed. Returns what it prints."""
        result = self.workplace.kmux(*arguments, timeout=timeout, **environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def json(self, *arguments: str, **environment: str) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self.kmux(*arguments, "--json", **environment))

    def refused(self, *arguments: str, status: int = 2, **environment: str) -> str:
        """Run a command that must fail. Returns the one line that it says."""
        result = self.workplace.kmux(*arguments, **environment)
        assert result.returncode == status, (result.returncode, result.stdout, result.stderr)
        said = result.stderr.splitlines()
        assert len(said) == 1, result.stderr
        return said[0].removeprefix("kmux: ")

    @property
    def pid(self) -> int:
        pid: int = self.json("daemon", "status")["pid"]
        return pid


class Kmux(Frontends):
    """A running ``kmux run``."""

    def __init__(self, workplace: Workplace, process: subprocess.Popen[str], log: Path) -> None:
        super().__init__()
        self.workplace = workplace
        self.process = process
        self._log = log
        self._file: Path | None = None

    def log(self) -> str:
        return self._log.read_text()

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def ps(self) -> dict[str, Any]:
        """What ``kmux ps`` says of this session."""
        file = str(self.file)
        listed = json.loads(self.workplace.kmux("ps", "--json").stdout)
        found: dict[str, Any] = next(s for s in listed if s["connection_file"] == file)
        return found

    @property
    def file(self) -> Path:
        """The connection file: what the session says when it has started."""
        if self._file is None:
            started = until(
                lambda: self.events("session.started") or self.process.poll() is not None,
                "the session has started",
            )
            assert started is not True, self.log()
            self._file = Path(started[0]["file"])
        return self._file

    @property
    def kernel_pid(self) -> int:
        launched = until(lambda: self.events("kernel.launched"), "a kernel was launched")
        pid: int = launched[-1]["pid"]
        return pid

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def client(
        self, *, ready: bool = True, identity: str | None = None, file: Path | None = None
    ) -> Client:
        """Attach a jupyter_client."""
        return self.attach(file or self.file, ready=ready, identity=identity)


class Client(BlockingKernelClient):
    """jupyter_client's blocking client, with the conversations that tests have."""

    def attach(self) -> None:
        """Wait until the kernel answers, however long it takes to come up.

        jupyter_client's own ``wait_for_ready`` gives up where the heartbeat is not answered
        within a second: on a busy machine, before kmux has bound its ports.
        """
        self.hear(lambda message: message["msg_type"] == "iopub_welcome", "welcome")
        self.reply(self.kernel_info())

    def attach_without_welcome(self) -> None:
        """Like :meth:`attach`, to a kernel whose iopub is no XPUB (Deno's is none).

        Its subscriber is there once it hears something: what was published before is not told.
        """
        self.reply(self.kernel_info())
        while True:
            asked = self.kernel_info()
            self.reply(asked)
            if self.iopub_channel.msg_ready():
                self.until_idle(asked)
                return

    def start_loop(self) -> str:
        """Run a Python cell that never ends, and return when it is inside its loop.

        Its busy is published before its code runs: an interrupt that comes between is lost.
        """
        cell = self.execute("print('begun', flush=True)\nwhile True: pass")

        assert self.hear_stream(cell) == "begun\n"
        return cell

    def hear_stream(self, cell: str) -> str:
        """Wait for the next line that a cell prints. (Output may also have no parent: warnings.)

        ``print`` writes a line and its end one after the other; a flush may come between.
        """

        def is_it(message: dict[str, Any]) -> bool:
            mine = message["parent_header"].get("msg_id") == cell
            return mine and message["msg_type"] == "stream"

        text = ""
        while not text.endswith("\n"):
            text += self.hear(is_it, "the cell prints")["content"]["text"]
        return text

    def run(self, code: str, **options: Any) -> dict[str, Any]:
        """Execute, and return the reply's content once the cell is idle; outputs in ``out``."""
        return self.finish(self.execute(code, **options))

    def finish(self, msg_id: str, timeout: float = DEADLINE) -> dict[str, Any]:
        """Wait for reply and idle of a request of ours."""
        self.out = self.until_idle(msg_id, timeout)
        return self.reply(msg_id, timeout)["content"]

    def reply(self, msg_id: str, timeout: float = DEADLINE) -> dict[str, Any]:
        """Wait for the reply to a request on shell."""
        return self.answer(self.get_shell_msg, msg_id, timeout)

    def send(
        self,
        channel: str,
        msg_type: str,
        content: dict[str, Any],
        subshell: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Send a message on shell or control; returns its msg_id."""
        message = self.session.msg(msg_type, content, metadata=metadata)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        getattr(self, f"{channel}_channel").send(message)
        msg_id: str = message["header"]["msg_id"]
        return msg_id

    def ask(self, who: str) -> None:
        """Run a cell that asks; the next prompt that comes must be its own. Answer it."""
        cell = self.execute(f"print('heard', input('{who}? '))", allow_stdin=True)
        prompt = self.get_stdin_msg(timeout=DEADLINE)
        assert prompt["parent_header"]["msg_id"] == cell, f"not its own: {prompt['content']}"
        self.input("yes")
        reply = self.finish(cell)
        assert self.text() == "heard yes\n", (reply, self.text())

    def arrive(self) -> None:
        """Wait until kmux has all that was sent on shell: it answers kernel_info at once."""
        self.reply(self.kernel_info())

    def ask_control(self, msg_type: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask on control and return the reply."""
        asked = self.send("control", msg_type, content or {})
        return self.answer(self.get_control_msg, asked)

    @staticmethod
    def answer(
        receive: Callable[..., dict[str, Any]], msg_id: str, timeout: float = DEADLINE
    ) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while True:
            message = receive(timeout=max(deadline - time.monotonic(), 0.001))
            if message["parent_header"].get("msg_id") == msg_id:
                return message

    def until_idle(self, msg_id: str, timeout: float = DEADLINE) -> list[dict[str, Any]]:
        """Collect what was published for a request, up to its idle."""
        collected = []
        deadline = time.monotonic() + timeout
        while True:
            message = self.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.001))
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            collected.append(message)
            if message["content"].get("execution_state") == "idle":
                return collected

    def hear(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait for an iopub message of whomever."""
        deadline = time.monotonic() + DEADLINE
        try:
            while True:
                message = self.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.001))
                if condition(message):
                    return message
        except Empty:
            raise AssertionError(f"not heard: {what}") from None

    def hear_status(self, state: str, msg_id: str | None = None) -> dict[str, Any]:
        """Wait for a status, of a request of ours or of whomever."""

        def is_it(message: dict[str, Any]) -> bool:
            mine = msg_id is None or message["parent_header"].get("msg_id") == msg_id
            return mine and message["content"].get("execution_state") == state

        return self.hear(is_it, f"status {state}")

    def text(self) -> str:
        """The text that the last cell printed, and its result."""
        parts = []
        for message in self.out:
            content = message["content"]
            if message["msg_type"] == "stream":
                parts.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                parts.append(content["data"].get("text/plain", ""))
        return "".join(parts)
