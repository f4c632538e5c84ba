"""Pythons that are asked what they have: real ones, and programs that are none."""

from __future__ import annotations

import sys
import time

import psutil

from proxy import __version__
from proxy.doctor.pythons import Answer, Question, ask
from tests.doctor.machine import Machine
from tests.frontends.kmux_process import until


def asked(*command: str, seconds: float = 10.0) -> Answer:
    question = Question(command, "ipykernel")
    return ask([question, question], seconds)[question]


def test_this_one_has_all() -> None:
    answer = asked(sys.executable)
    assert answer.failure == ""
    assert answer.python.startswith("3.")
    assert int(answer.package.split(".")[0]) >= 7
    assert answer.has_widgets
    question = Question((sys.executable,), "kmux")
    assert ask([question])[question].package == __version__


def test_one_without_packages_says_what_is_missing() -> None:
    answer = asked(sys.executable, "-S", "-E")
    assert answer.package == ""
    assert answer.failure == "ModuleNotFoundError: No module named 'ipykernel'"
    assert not answer.has_widgets


def test_its_environment_is_the_kernelspecs() -> None:
    question = Question((sys.executable,), "kmux", (("PYTHONHOME", "/gone"),))
    assert ask([question])[question].package == ""


def test_what_is_not_there_or_is_no_python(machine: Machine) -> None:
    assert asked("/gone/python").failure == "it cannot be run: No such file or directory"
    assert asked(machine.program("a", "echo hello")).failure == "it ended with status 0"
    assert asked(machine.program("b", "echo no luck >&2; exit 3")).failure == "no luck"


def test_something_may_be_said_ahead_of_the_answer(machine: Machine) -> None:
    assert asked(machine.program("a", f'echo hello; exec {sys.executable} "$@"')).package


def test_one_that_does_not_answer_is_ended_with_what_it_has_started(machine: Machine) -> None:
    waiting = machine.program("a", f"sleep 600 & echo $! > {machine.home}/pid; wait")
    began = time.monotonic()
    assert asked(waiting, seconds=1.0).failure == "it did not answer in 1 s"
    assert time.monotonic() - began < 5
    pid = int((machine.home / "pid").read_text())
    until(lambda: not _runs(pid), "what it has started has ended")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_all_are_asked_and_two_at_a_time(machine: Machine) -> None:
    here, counts = machine.home / "here", machine.home / "counts"
    here.mkdir()
    text = f"mkdir {here}/$$; ls {here} | wc -l >> {counts}; sleep 0.2; rmdir {here}/$$; exit 1"
    questions = [Question((machine.program(f"python-{n}", text),), "kmux") for n in range(5)]
    answers = ask(questions)
    assert [answers[each].failure for each in questions] == ["it ended with status 1"] * 5
    assert len(counts.read_text().split()) == 5
    assert max(map(int, counts.read_text().split())) <= 2
