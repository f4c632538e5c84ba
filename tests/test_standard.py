"""``kmux run`` as a person and as a frontend see it: real processes, real kernels."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import venv
from contextlib import suppress
from pathlib import Path
from queue import Empty

import psutil
import pytest
from jupyter_client.connect import write_connection_file

from tests.frontends.kmux_process import Workplace, until

pytestmark = pytest.mark.timeout(120)


def one_line(stderr: str) -> str:
    """The single line that a user sees; log lines are JSON."""
    lines = [line for line in stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, stderr
    assert "Traceback" not in stderr
    return lines[0]


def has_exited(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_says_how_to_attach_and_who_comes_and_goes(workplace: Workplace) -> None:
    with workplace.run("--name", "shown") as kmux:
        client = kmux.client()
        client.stop_channels()
        until(lambda: kmux.events("client.left"), "the frontend left")
        kmux.process.send_signal(signal.SIGTERM)
        assert kmux.process.wait(15) == 0
        assert kmux.process.stdout is not None
        said = kmux.process.stdout.read()
        assert f"connection file  {kmux.file}" in said
        assert "jupyter console --existing kernel-kmux-shown.json" in said
        assert "attached: " in said
        assert "left: " in said
        assert not kmux.file.exists()


def test_ps_lists_what_runs(workplace: Workplace) -> None:
    assert json.loads(workplace.kmux("ps", "--json").stdout) == []
    assert "kmux new" in workplace.kmux("ps").stdout
    with workplace.run("--name", "listed") as kmux:
        client = kmux.client()
        client.run("1")
        listed = kmux.ps()
        assert listed.pop("document").startswith("automerge:")
        assert listed.pop("record_url").startswith("ws://127.0.0.1:")
        assert listed.pop("created").endswith("Z")
        assert listed == {
            "name": "listed",
            "kernel": "python3",
            "language": "python",
            "status": "idle",
            "clients": 1,
            "pid": kmux.kernel_pid,
            "connection_file": str(kmux.file),
            "notebook": None,
            "env_source": "kernelspec",
            "environment": "",
            "auto": False,
            "preparing": "",
            "problem": "",
            "daemon": False,
        }
        assert "listed\tpython3\tpython\tkernelspec\tidle\t1" in workplace.kmux("ps").stdout
        taken = workplace.kmux("run", "--name", "listed")
        assert taken.returncode == 2
        assert "'listed' runs already" in one_line(taken.stderr)
    assert json.loads(workplace.kmux("ps", "--json").stdout) == []


def test_what_a_killed_kmux_left_is_in_nobodys_way(workplace: Workplace) -> None:
    with workplace.run("--name", "killed") as kmux:
        kmux.client()
        kmux.process.kill()
        kmux.process.wait()
    assert json.loads(workplace.kmux("ps", "--json").stdout) == []
    with workplace.run("--name", "killed") as kmux:
        assert kmux.ps()["name"] == "killed"


def test_the_connection_file_is_private(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        assert kmux.file.stat().st_mode & 0o777 == 0o600
        runtime = Path(workplace.environment["KMUX_RUNTIME_DIR"])
        assert runtime.stat().st_mode & 0o777 == 0o700


def test_first_ctrl_c_interrupts_and_the_second_ends(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        client = kmux.client()
        cell = client.start_loop()
        kmux.process.send_signal(signal.SIGINT)
        assert client.finish(cell)["ename"] == "KeyboardInterrupt"
        kernel = psutil.Process(kmux.kernel_pid)
        kmux.process.send_signal(signal.SIGINT)
        assert kmux.process.wait(15) == 0
        kernel.wait(5)


def test_sigterm_ends_a_kernel_that_is_busy(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        client = kmux.client()
        cell = client.start_loop()
        kmux.process.send_signal(signal.SIGTERM)
        reply = client.reply(cell)["content"]
        assert (reply["status"], reply["ename"]) == ("error", "KernelEnded")
        assert kmux.process.wait(15) == 0


def test_the_kernel_ends_with_a_kmux_that_is_killed(workplace: Workplace) -> None:
    # Deno does not watch its parent: the parent-death signal is what ends it.
    with workplace.run("--kernel", "deno") as kmux:
        kmux.client()
        kernel = psutil.Process(kmux.kernel_pid)
        kmux.process.kill()
        kmux.process.wait()
        kernel.wait(5)


def test_a_kernel_that_keeps_dying_is_given_up(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        client = kmux.client()
        for death in range(6):
            cell = client.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
            reply = client.reply(cell)["content"]
            assert reply["ename"] == "KernelDied", death
        client.hear_status("dead")
        refused = client.reply(client.execute("1"))["content"]
        assert (refused["status"], refused["ename"]) == ("error", "KernelDied")
        assert kmux.ps()["status"] == "dead"
        assert client.ask_control("shutdown_request", {"restart": True})["content"]["restart"]
        assert client.run("print('again')")["status"] == "ok"


def test_outstanding_requests_are_answered_when_the_kernel_dies(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        client = kmux.client()
        running = client.start_loop()
        waiting = client.execute("1")
        asking = client.complete("pri", 3)
        os.kill(kmux.kernel_pid, signal.SIGKILL)
        assert client.reply(running)["content"]["ename"] == "KernelDied"
        assert client.reply(waiting)["content"] == {"status": "aborted"}
        assert client.reply(asking)["content"]["ename"] == "KernelDied"


def test_kernel_info_is_answered_while_a_cell_runs(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        client = kmux.client()
        idle = client.reply(client.kernel_info())
        cell = client.start_loop()
        asked = client.kernel_info()
        busy = client.reply(asked, timeout=2)
        assert busy["content"] == idle["content"]
        assert busy["header"]["session"] == client.until_idle(asked)[0]["header"]["session"]
        truth = client.hear_status("busy")
        assert truth["parent_header"]["msg_id"] == cell, "the true status is sent again"
        client.ask_control("interrupt_request")
        assert client.finish(cell)["ename"] == "KeyboardInterrupt"


def test_a_prompt_goes_to_who_asked_and_is_asked_again(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        other = kmux.client()
        client = kmux.client(identity="a-frontend-of-its-own")
        cell = client.execute("print('got', input('? '))", allow_stdin=True)
        assert client.get_stdin_msg(timeout=10)["content"]["prompt"] == "? "
        client.stop_channels()  # away, with the prompt on its screen
        until(lambda: kmux.events("client.left"), "the frontend left")
        again = kmux.client(identity="a-frontend-of-its-own", ready=False)
        # It is one process: jupyter_client refuses a message whose signature it has seen.
        again.session.digest_history = client.session.digest_history
        again.kernel_info()
        prompt = again.get_stdin_msg(timeout=10)
        assert prompt["content"]["prompt"] == "? "
        assert prompt["parent_header"]["msg_id"] == cell
        again.input("back")
        again.input("twice")  # nobody waits for this one
        assert other.hear_stream(cell) == "got back\n"
        assert again.answer(again.get_shell_msg, cell)["content"]["status"] == "ok"
        with pytest.raises(Empty):
            other.get_stdin_msg(timeout=0.1)
        until(lambda: kmux.events("stdin.answer_ignored"), "the second answer is ignored")


@pytest.mark.parametrize("options", [["--transport", "ipc"], ["--curve"], ["--kernel-curve"]])
def test_transports_and_encryption(workplace: Workplace, options: list[str]) -> None:
    with workplace.run(*options) as kmux:
        info = json.loads(kmux.file.read_text())
        assert info["transport"] == ("ipc" if "ipc" in options else "tcp")
        assert ("curve_secretkey" in info) == ("--curve" in options)
        client = kmux.client()
        assert client.run("print('over', 'this')")["status"] == "ok"
        assert client.text() == "over this\n"
        encrypted = not any("without encryption" in e["line"] for e in kmux.events("kernel.output"))
        assert encrypted == ("--kernel-curve" in options)


@pytest.fixture
def given(workplace: Workplace) -> Path:
    """A connection file of a frontend, with free ports."""
    file = workplace.root / "given.json"
    write_connection_file(str(file), ip="127.0.0.1", key=b"a key", jupyter_session="kept")
    return file


def test_f_serves_on_the_ports_and_key_of_the_file(workplace: Workplace, given: Path) -> None:
    before = given.read_text()
    with workplace.run("-f", str(given)) as kmux:
        client = kmux.client()
        assert given.read_text() == before
        # As a kernel: SIGINT interrupts however often, and the exit status is the kernel's.
        for _ in range(3):
            cell = client.start_loop()
            kmux.process.send_signal(signal.SIGINT)
            assert client.finish(cell)["ename"] == "KeyboardInterrupt"
        client.execute("import os; os._exit(7)")
        assert kmux.process.wait(15) == 7
        assert given.exists()


def test_a_signal_that_comes_too_late_ends_nothing_else(workplace: Workplace, given: Path) -> None:
    """A server that interrupts a kernel while that is ending anyway."""
    with workplace.run("-f", str(given)) as kmux:
        client = kmux.client()
        kernel = psutil.Process(kmux.kernel_pid)
        client.execute("import os; os._exit(7)")
        until(lambda: has_exited(kernel), "the kernel has exited, and kmux may not know it yet")
        with suppress(ProcessLookupError):
            while kmux.process.poll() is None:
                kmux.process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    kmux.process.wait(0.005)
        assert kmux.process.wait(15) == 7
        assert not kmux.events("internal.error")


def test_a_frontend_that_took_its_file_away_again_has_no_kernel(workplace: Workplace) -> None:
    """jupyter_client, where a kernel is shut down as soon as it was started."""
    result = workplace.kmux("run", "-f", "gone.json", JPY_PARENT_PID=str(os.getpid()))
    assert result.returncode == 2
    assert "gone.json" in one_line(result.stderr)


def test_a_shutdown_of_the_owner_counts_though_it_hangs_up_at_once(
    workplace: Workplace, given: Path
) -> None:
    """Whose connection it was cannot be told any more when the message is read."""
    with workplace.run("-f", str(given), JPY_PARENT_PID=str(os.getpid())) as kmux:
        client = kmux.client(identity="the-owner")
        kernel = psutil.Process(kmux.kernel_pid)
        client.ask_control("kernel_info_request")
        kmux.process.send_signal(signal.SIGSTOP)
        until(lambda: psutil.Process(kmux.process.pid).status() == "stopped", "kmux stopped")
        client.shutdown()
        client.control_channel.socket.close(linger=1000)
        client.stop_channels()
        client.context.term()  # now it has been sent
        kmux.process.send_signal(signal.SIGCONT)
        assert kmux.process.wait(15) == 0
        kernel.wait(5)


def test_f_writes_a_file_that_is_not_there(workplace: Workplace) -> None:
    file = workplace.root / "new.json"
    with workplace.run("-f", str(file)) as kmux:
        assert kmux.file == file
        assert kmux.client().run("1")["status"] == "ok"
    assert not file.exists()


def test_unknown_kernel(workplace: Workplace) -> None:
    result = workplace.kmux("run", "--kernel", "pyton3")
    assert result.returncode == 2
    assert "no kernel 'pyton3'" in one_line(result.stderr)
    assert "python3" in result.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json", "is not a connection file"),
        ("{}", "is not a connection file of a Jupyter kernel"),
        (
            '{"shell_port": "x", "iopub_port": 1, "stdin_port": 2, "control_port": 3, "hb_port": 4}',  # noqa: E501
            "is not a valid connection file",
        ),
    ],
)
def test_foreign_connection_file(workplace: Workplace, content: str, says: str) -> None:
    file = workplace.root / "foreign.json"
    file.write_text(content)
    result = workplace.kmux("run", "-f", str(file))
    assert result.returncode == 2
    assert says in one_line(result.stderr)


def test_unreadable_connection_file(workplace: Workplace) -> None:
    result = workplace.kmux("run", "-f", str(workplace.root / "runtime" / ".." / "runtime"))
    assert result.returncode == 2
    assert "is a directory" in result.stderr


def test_port_taken(workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"shell_port": taken.getsockname()[1]}
        file = workplace.root / "taken.json"
        others = dict.fromkeys(["iopub_port", "stdin_port", "control_port", "hb_port"], 0)
        file.write_text(json.dumps({**ports, **others, "ip": "127.0.0.1", "key": "k"}))
        result = workplace.kmux("run", "-f", str(file))
    assert result.returncode == 2
    assert f":{ports['shell_port']}: Address already in use" in one_line(result.stderr)


def test_no_ipykernel_in_the_environment(workplace: Workplace, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    workplace.kernelspec("bare", [str(python), "-m", "ipykernel_launcher", "-f"], "python")
    result = workplace.kmux("run", "--kernel", "bare")
    assert result.returncode == 3
    assert f"{python} -m pip install ipykernel" in one_line(result.stderr)


def test_kernel_program_missing(workplace: Workplace) -> None:
    workplace.kernelspec("gone", ["/nonexistent/python", "-f"], "python")
    result = workplace.kmux("run", "--kernel", "gone")
    assert result.returncode == 3
    assert "'gone' cannot be started" in one_line(result.stderr)


def test_runs_as_a_module_of_a_bare_environment() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "proxy", "--version"], capture_output=True, text=True
    )
    assert result.stdout.startswith("kmux, version ")
