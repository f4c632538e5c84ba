"""A detection in words."""

from __future__ import annotations

from pathlib import Path

from proxy.environments import explanation
from proxy.environments.detection import Choice, detect
from proxy.environments.projects import Level
from proxy.environments.wants import Wants, wants_of


def explained(wants: Wants, *levels: Level, **choice: object) -> list[str]:
    detection = detect(wants, levels, Choice(**choice))  # type: ignore[arg-type]
    return list(explanation.lines(detection, ("conda-forge",)))


def test_which_rule_matched_and_why_the_others_did_not() -> None:
    runt = {"uv": {"dependencies": ["numpy>=2", "a @ https://example.org/a.whl"]}}
    wants = wants_of({"metadata": {"kernelspec": {"name": "python3"}, "runt": runt}})
    assert explained(wants) == [
        "kernel: Python",
        "  yes kernelspec name: 'python3' is Python",
        "environment: uv:inline",
        "  yes uv:inline: metadata.runt.uv lists 2 packages",
        "to be installed:",
        "  numpy>=2",
        "  a @ https://example.org/a.whl  (from a URL, not from the package index)",
        "  ipykernel (what a kernel needs)",
    ]


def test_a_project_and_what_was_passed_over() -> None:
    levels = [
        Level(directory=Path("/p/a"), files={"pyproject.toml": b"[tool.ruff]"}),
        Level(
            directory=Path("/p"), files={"environment.yml": b"dependencies: [numpy, {pip: [six]}]"}
        ),
    ]
    assert explained(Wants(), *levels) == [
        "kernel: Python",
        "  no  kernelspec name: the notebook names none",
        "  no  kernelspec language: the notebook names none",
        "  no  language_info name: the notebook names none",
        "  yes default_runtime: the setting is 'python'",
        "environment: conda:env_yml",
        "  no  uv:inline: the notebook has none",
        "  no  conda:inline: the notebook has none",
        "  no  uv:pep723: its first code cell has no '# /// script' block",
        "  yes conda:env_yml: /p/environment.yml is the closest",
        "  -   /p/a/pyproject.toml: it has no [project] table: settings of tools, but no project",
        "to be installed:",
        "  numpy",
        "  six (PyPI)",
        "  channels: conda-forge",
        "  ipykernel (what a kernel needs)",
    ]


def test_a_kernel_that_has_no_environment_installs_nothing() -> None:
    assert explained(Wants(kernel="deno")) == [
        "kernel: Deno",
        "  yes kernelspec name: 'deno' is Deno",
        "environment: deno",
    ]
    assert explained(Wants(kernel="ir"), kernelspecs=["ir"])[0] == "kernel: ir"


def test_what_a_notebook_has_that_asks_for_nothing() -> None:
    detection = detect(Wants(), [], Choice(default_python_env="conda"))
    said = list(explanation.lines(detection, ("conda-forge",), ("ipykernel", "numpy")))
    assert said[5:] == [
        "environment: conda:prewarmed",
        "  no  uv:inline: the notebook has none",
        "  no  conda:inline: the notebook has none",
        "  no  uv:pep723: its first code cell has no '# /// script' block",
        "  no  project: no project file is above it",
        "  yes conda:prewarmed: nothing else is asked for; default_python_env is 'conda'",
        "it has:",
        "  ipykernel",
        "  numpy",
    ]


def test_conda_packages_without_channels_are_of_those_that_the_user_has_chosen() -> None:
    wants = wants_of({"metadata": {"runt": {"conda": {"dependencies": ["mine::scipy"]}}}})
    assert explained(wants)[-4:] == [
        "to be installed:",
        "  mine::scipy  (from a channel of its own)",
        "  channel conda-forge",
        "  ipykernel (what a kernel needs)",
    ]


def test_what_deno_may_not_is_said() -> None:
    metadata = {
        "kernelspec": {"name": "deno"},
        "runt": {"deno": {"permissions": ["--allow-net"]}},
    }
    *_, last = explained(wants_of({"metadata": metadata}))
    assert last == "its code may not: read, write, env, sys, run, ffi"
