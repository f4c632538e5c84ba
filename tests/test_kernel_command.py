from __future__ import annotations

import os

from proxy.kernel_command import KernelCommand

BASE = {"PATH": "/usr/bin", "VIRTUAL_ENV": "/other", "PYTHONHOME": "/other", "LANG": "C"}


def test_an_environment_is_the_only_active_one_and_its_programs_come_first() -> None:
    command = KernelCommand(argv=("x",), env={"CONDA_PREFIX": "/it"}, first_on_path="/it/bin")
    assert command.environment(BASE) == {
        "PATH": f"/it/bin{os.pathsep}/usr/bin",
        "LANG": "C",
        "CONDA_PREFIX": "/it",
    }


def test_a_program_without_an_environment_is_run_where_it_is_asked_for() -> None:
    assert KernelCommand(argv=("deno",), env={"A": "1"}).environment(BASE) == {**BASE, "A": "1"}
