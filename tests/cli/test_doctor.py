"""``kmux doctor``, as a person runs it, where real things are broken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy.cli.doctor import summary
from proxy.doctor.examination import Entry
from proxy.wire import connection
from tests.frontends.kmux_process import DEADLINE, Daemon, Workplace, until

pytestmark = pytest.mark.timeout(120)

SCRIPT = """
from proxy.cli import main
main.COMMANDS["doctor"] = ""
main.main()
"""


def doctor(
    workplace: Workplace, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, "doctor", *arguments],
        env={**workplace.environment, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert result.stderr == ""
    assert result.returncode in (0, 1)
    return result


def examined(workplace: Workplace, *arguments: str, **environment: str) -> list[dict[str, Any]]:
    """All that is found."""
    result = doctor(workplace, "--json", *arguments, **environment)
    entries: list[dict[str, Any]] = json.loads(result.stdout)
    broken = [e for e in entries if e["level"] == "error" and e["fixed"] is None]
    assert result.returncode == bool(broken)
    for entry in entries:
        assert list(entry) == ["check", "level", "what", "advice", "fixed"]
        assert (entry["level"] == "ok") == (not entry["advice"]), entry
    return entries


def bad(entries: list[dict[str, Any]], *checks: str) -> list[dict[str, Any]]:
    """What is not as it should be, in these checks."""
    return [e for e in entries if e["level"] != "ok" and (not checks or e["check"] in checks)]


def test_a_machine_that_is_well(workplace: Workplace) -> None:
    result = doctor(workplace)
    assert result.returncode == 0
    *lines, last = result.stdout.splitlines()
    assert last == "all is well"
    assert all(line.startswith("✓ ") for line in lines)
    assert lines[0].startswith("✓ system            kmux ")
    assert not (workplace.root / "data").exists(), "looking makes nothing"
    assert bad(examined(workplace)) == []


def test_everything_is_broken_at_once(workplace: Workplace) -> None:
    """Each is one finding, and nothing is a traceback."""
    runtime = workplace.environment["KMUX_RUNTIME_DIR"]
    Path(runtime).chmod(0o777)
    workplace.kernelspec("gone", ["/gone/bin/python", "-m", "ipykernel_launcher", "-f"], "python")
    broken = {
        "KMUX_CONFIG": str(workplace.root / "gone.toml"),
        "KMUX_DATA_DIR": "/proc/self/task",  # our own, and nobody can write there
        "JUPYTER_RUNTIME_DIR": str(workplace.root / "jupyter" / "kernels" / "gone" / "kernel.json"),
    }
    found = [(e["check"], e["level"], e["what"]) for e in bad(examined(workplace, **broken))]
    kernelspec = str(workplace.root / "jupyter" / "kernels" / "gone")
    assert found == [
        ("settings", "error", f"there is no {workplace.root}/gone.toml"),
        (
            "directories",
            "warning",
            f"others can look into the runtime directory {runtime} (mode 777)",
        ),
        (
            "directories",
            "error",
            "cannot write in the data directory /proc/self/task: No such file or directory",
        ),
        (
            "directories",
            "error",
            f"the Jupyter runtime directory {kernelspec}/kernel.json is no directory",
        ),
        ("kernelspecs", "error", "gone: its program is gone: /gone/bin/python"),
    ]


def test_what_is_safe_is_mended_when_it_is_asked_for(workplace: Workplace) -> None:
    runtime = Path(workplace.environment["KMUX_RUNTIME_DIR"])
    runtime.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(runtime / "left.sock"))
    file = workplace.root / "runtime" / "kernel-kmux-left.json"
    connection.write(file, connection.ConnectionInfo(shell_port=1))
    before = doctor(workplace)
    assert before.returncode == 0, "these are warnings"
    assert before.stdout.splitlines()[-1] == "3 warnings"
    after = doctor(workplace, "--fix", PYTHONIOENCODING="ascii").stdout
    assert "! directories" not in after
    assert "+ directories" in after
    assert f"done: made {runtime} yours alone (mode 700)" in after
    assert "done: removed left.sock" in after
    assert "done: removed kernel-kmux-left.json" in after
    assert after.splitlines()[-1] == "3 mended"
    assert not (runtime / "left.sock").exists()
    assert not file.exists()
    assert bad(examined(workplace)) == []


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_daemon_that_hangs(daemon: Daemon) -> None:
    daemon.kmux("daemon", "start")
    pid = daemon.pid
    assert bad(examined(daemon.workplace)) == []
    with stopped(pid):
        (found,) = bad(examined(daemon.workplace))
    assert found["check"] == "daemon"
    assert found["what"].startswith(f"process {pid} (")
    assert "has the daemon's lock and does not answer" in found["what"]


def test_a_daemon_that_was_killed_and_what_went_wrong_meanwhile(daemon: Daemon) -> None:
    workplace = daemon.workplace
    names = ("whole", "dead", "damaged")
    sessions = {name: daemon.json("new", name, "--kernel", "bash") for name in names}
    files = {name: Path(session["connection_file"]) for name, session in sessions.items()}
    port = connection.read(files["whole"]).iopub_port
    process = psutil.Process(daemon.pid)
    process.kill()
    process.wait()
    psutil.Process(sessions["dead"]["pid"]).kill()
    directories = {
        json.loads(state.read_bytes())["name"]: state.parent
        for state in (workplace.root / "data" / "sessions").glob("*/session.json")
    }
    until((directories["dead"] / "exit").exists, "its keeper has seen it")
    state = directories["damaged"] / "session.json"
    state.write_bytes(state.read_bytes()[:100])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        found = {e["check"]: e for e in bad(examined(workplace, "--fix"))}
    assert found["daemon"]["level"] == "warning"
    assert found["daemon"]["what"] == "none runs, and 2 sessions of an earlier one wait for it"
    dead = found["kernels"]["what"]
    assert dead.startswith("the kernel of dead is dead: the kernel was killed by SIGKILL")
    pid = sessions["damaged"]["pid"]
    assert f"its kernel still runs, as process {pid}" in found["sessions"]["what"]
    assert f"process {os.getpid()} (" in found["ports"]["what"]
    assert found["ports"]["what"].endswith(f") has port {port} of session whole")
    assert set(found) == {"daemon", "kernels", "sessions", "ports", "connection files"}
    mended = {check for check, entry in found.items() if entry["fixed"]}
    assert mended == {"connection files"}, "all else is somebody's"
    assert not files["damaged"].exists()
    assert psutil.pid_exists(pid)

    psutil.Process(pid).kill()
    until((directories["damaged"] / "exit").exists, "its keeper has seen it")
    (mended,) = bad(examined(workplace, "--fix"), "sessions")
    assert mended["fixed"].startswith(f"set it aside as {workplace.root}/data/session-")
    daemon.kmux("daemon", "start")
    found = {e["check"]: e for e in bad(examined(workplace))}
    assert set(found) == {"sessions", "kernels"}
    assert found["sessions"]["what"].endswith(" was set aside")
    assert found["kernels"]["advice"] == "kmux restart dead, or kmux stop dead"
    assert "killed by SIGKILL" in found["kernels"]["what"]


def test_the_last_line_counts() -> None:
    def entry(level: Any, fixed: str | None = None) -> Entry:
        return Entry("x", level, "what", "advice", fixed)

    assert summary([entry("ok")]) == "all is well"
    assert summary([entry("error"), entry("error"), entry("warning")]) == "2 errors, 1 warning"
    assert summary([entry("error", "did"), entry("warning")]) == "1 warning, 1 mended"
