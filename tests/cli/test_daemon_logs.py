"""``kmux daemon logs``, as a process that a person runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from proxy.log_file import LogFile
from tests.frontends.kmux_process import DEADLINE, Workplace

COMMAND = [sys.executable, "-m", "proxy", "daemon", "logs"]


@pytest.fixture
def log(workplace: Workplace) -> Iterator[LogFile]:
    file = LogFile(workplace.root / "data" / "daemon.log", max_bytes=1000, files=5)
    yield file
    file.close()


def write(log: LogFile, event: str, level: str = "info", session: str = "analysis") -> None:
    entry = {"event": event, "session": session, "level": level}
    log.write(json.dumps(entry) + "\n")


def logs(workplace: Workplace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def test_the_last_lines_for_people_and_for_scripts(workplace: Workplace, log: LogFile) -> None:
    for number in range(30):
        write(log, f"kernel.number{number}")
    log.write("Fatal Python error\n")
    shown = logs(workplace, "-n", "25")
    assert shown.stderr == ""
    assert len(shown.stdout.splitlines()) == 25, "they are of several files"
    assert shown.stdout.splitlines()[-2:] == [
        " info    analysis kernel.number29",
        "Fatal Python error",
    ]
    raw = logs(workplace, "--json", "-n", "2").stdout.splitlines()
    assert json.loads(raw[0])["event"] == "kernel.number29"
    assert raw[1] == "Fatal Python error"


def test_filters(workplace: Workplace, log: LogFile) -> None:
    write(log, "kernel.died", "warning")
    write(log, "kernel.ready")
    write(log, "kernel.died", "warning", "other")
    write(log, "kernel.launched")
    one = logs(workplace, "--session", "analysis", "--level", "warning", "-n", "1")
    assert one.stdout == " warning analysis kernel.died\n"


def test_there_is_no_log(workplace: Workplace) -> None:
    result = logs(workplace)
    assert result.returncode == 2
    path = workplace.root / "data" / "daemon.log"
    assert result.stderr == f"kmux: the daemon has logged nothing yet at {path}\n"


@pytest.mark.timeout(120)
def test_follow(workplace: Workplace, log: LogFile) -> None:
    write(log, "kernel.launched")
    process = subprocess.Popen(
        [*COMMAND, "-f", "--session", "analysis"],
        env=workplace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == " info    analysis kernel.launched\n"
        for number in range(100):
            write(log, f"kernel.number{number}")
            write(log, "kernel.ready", session="other")
            if number % 10 == 9:
                expected = [
                    f" info    analysis kernel.number{n}\n" for n in range(number - 9, number + 1)
                ]
                assert [process.stdout.readline() for _ in range(10)] == expected
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE)
        process.stdout.close()
