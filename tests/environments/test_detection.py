"""Which kernel and which environment: the rules, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.environments.detection import Choice, Detection, detect
from proxy.environments.projects import NAMES, Level
from proxy.environments.wants import wants_of
from proxy.errors import ConfigError

SCRIPT = '# /// script\n# dependencies = ["rich"]\n# ///\n'
ONLY_PYTHON = '# /// script\n# requires-python = ">=3.11"\n# ///\n'
NOTHING = "# /// script\n# dependencies = []\n# ///\n"
UV = {"uv": {"dependencies": ["numpy"]}}
CONDA = {"conda": {"dependencies": ["scipy"]}}
NO_UV: dict[str, Any] = {"uv": {"dependencies": []}}
NO_CONDA: dict[str, Any] = {"conda": {"dependencies": []}}
BOTH = {**UV, **CONDA}
PYPROJECT = {"pyproject.toml": b"[project]\nname = 'it'\n"}
TOOLS = {"pyproject.toml": b"[tool.ruff]\n"}
PIXI = {"pixi.toml": b""}
YML = {"environment.yml": b"dependencies: [python]"}
YAML = {"environment.yaml": b"dependencies: [python]"}
PYTHON = {"name": "python3", "language": "python"}


def found(
    metadata: Any = None, code: str = "", *levels: dict[str, bytes], **choice: Any
) -> Detection:
    tree = {"metadata": metadata or {}, "cells": [{"cell_type": "code", "source": code}]}
    above = [
        Level(directory=Path("/" + "/".join("abcdef"[: len(levels) - at])), files=dict(files))
        for at, files in enumerate(levels)
    ]
    return detect(wants_of(tree), above, Choice(**choice))


# Which kernel


@pytest.mark.parametrize(
    ("kernelspec", "language", "choice", "runtime"),
    [
        # by its name
        ({"name": "python3"}, "", {}, "python"),
        ({"name": "python"}, "", {}, "python"),
        ({"name": "Python 3.11 (ml)"}, "", {}, "python"),
        ({"name": "xpython"}, "", {}, "python"),
        ({"name": "python3", "language": "typescript"}, "typescript", {}, "python"),
        ({"name": "python3"}, "", {"default_runtime": "deno"}, "python"),
        ({"name": "python3"}, "", {"kernelspecs": ["python3"]}, "python"),
        ({"name": "deno"}, "", {}, "deno"),
        ({"name": "Deno"}, "", {}, "deno"),
        ({"name": "deno", "language": "python"}, "python", {}, "deno"),
        ({"name": "deno"}, "", {"kernelspecs": ["deno"]}, "deno"),
        ({"name": "ir", "language": "R"}, "R", {"kernelspecs": ["ir"]}, "kernelspec"),
        ({"name": "IR", "language": "R"}, "R", {"kernelspecs": ["ir"]}, "kernelspec"),
        ({"name": "ir"}, "", {"kernelspecs": ["ir"]}, "kernelspec"),
        ({"name": "ml", "language": "python"}, "", {"kernelspecs": ["ml"]}, "kernelspec"),
        # by its language
        ({"name": "ml", "language": "python"}, "", {}, "python"),
        ({"name": ".venv", "language": "python"}, "", {}, "python"),
        ({"language": "python"}, "", {}, "python"),
        ({"language": "Python"}, "", {}, "python"),
        ({"language": "ipython"}, "", {}, "python"),
        ({"name": "ts", "language": "typescript"}, "", {}, "deno"),
        ({"language": "TypeScript"}, "", {}, "deno"),
        ({"language": "javascript"}, "", {}, "deno"),
        ({"language": "python"}, "typescript", {}, "python"),
        ({"language": "typescript"}, "python", {}, "deno"),
        # by the language of its code
        ({}, "python", {}, "python"),
        ({}, "typescript", {}, "deno"),
        ({"name": "elsewhere"}, "python", {}, "python"),
        ({}, "python", {"default_runtime": "deno"}, "python"),
        # not by what kmux's own kernelspecs are called, which JupyterLab writes into it
        ({"name": "auto-shared", "language": "python"}, "typescript", {}, "deno"),
        ({"name": "auto", "language": "python"}, "typescript", {}, "deno"),
        ({"name": "auto", "language": "python"}, "python", {}, "python"),
        ({"name": "auto", "language": "python"}, "", {"default_runtime": "deno"}, "deno"),
        ({"name": "deno-shared"}, "", {}, "deno"),
        ({"name": "my-shared"}, "", {"kernelspecs": ["my-shared"]}, "kernelspec"),
        # by the setting
        ({}, "", {}, "python"),
        ({}, "", {"default_runtime": "python"}, "python"),
        ({}, "", {"default_runtime": "deno"}, "deno"),
        ({"name": "elsewhere"}, "", {}, "python"),
        ({"name": "elsewhere"}, "", {"default_runtime": "deno"}, "deno"),
        ({"name": 1, "language": ["python"]}, "", {}, "python"),
    ],
)
def test_the_kernel(
    kernelspec: dict[str, Any], language: str, choice: dict[str, Any], runtime: str
) -> None:
    metadata: dict[str, Any] = {"kernelspec": kernelspec}
    if language:
        metadata["language_info"] = {"name": language}
    detected = found(metadata, "", PYPROJECT, **choice)
    assert detected.runtime == runtime
    assert (
        detected.source
        == {
            "python": "uv:pyproject",
            "deno": "deno",
            "kernelspec": "kernelspec",
        }[runtime]
    )
    assert detected.kernelspec == (kernelspec["name"] if runtime == "kernelspec" else None)
    assert [rule.matched for rule in detected.runtime_rules].index(True) == (
        len(detected.runtime_rules) - 1
    )


def test_the_shared_kernelspec_of_a_kernel_stands_for_that_kernel() -> None:
    said = {"kernelspec": {"name": "ir-shared", "language": "R"}}
    assert found(said, kernelspecs=["ir"]).kernelspec == "ir"
    with pytest.raises(ConfigError, match="no kernel 'ir' is installed"):
        found(said)


@pytest.mark.parametrize(
    ("kernelspec", "language"),
    [
        ({"name": "ir", "language": "R"}, "R"),
        ({"name": "ir"}, "R"),
        ({"language": "julia"}, ""),
        ({}, "rust"),
        ({"name": "auto-shared", "language": "python"}, "R"),
    ],
)
def test_code_of_another_language_does_not_run_in_the_default_kernel(
    kernelspec: dict[str, Any], language: str
) -> None:
    metadata = {"kernelspec": kernelspec, "language_info": {"name": language}}
    with pytest.raises(ConfigError, match=r"^the notebook is in .*; install a kernel for it, or"):
        found(metadata)


def test_deno_has_the_permissions_that_the_notebook_gives() -> None:
    metadata = {"kernelspec": {"name": "deno"}, "runt": {"deno": {"permissions": ["--allow-net"]}}}
    assert found(metadata).deno_permissions == ("--allow-net",)
    assert found({"kernelspec": {"name": "deno"}}).deno_permissions is None


def test_a_kernel_that_is_used_as_it_is_has_no_environment_to_look_for() -> None:
    broken = {"pyproject.toml": b"[project"}
    metadata = {"kernelspec": {"name": "ir"}, "runt": {"uv": {"dependencies": ["!"]}}}
    assert found(metadata, "", broken, kernelspecs=["ir"]).environment_rules == ()


# Which environment


@pytest.mark.parametrize(
    ("runt", "code", "levels", "inline_first", "otherwise"),
    # What the first column asks for is in the notebook, what the third has is above it. The last
    # two are the label, and what it is where inline_first is false.
    [
        # what the notebook lists
        (UV, "", [], "uv:inline", None),
        (CONDA, "", [], "conda:inline", None),
        (BOTH, "", [], "uv:inline", None),
        ({**NO_UV, **CONDA}, "", [], "conda:inline", None),
        ({**UV, **NO_CONDA}, "", [], "uv:inline", None),
        ({"uv": {"dependencies": ["  "]}}, "", [], "uv:prewarmed", None),
        (NO_UV, "", [], "uv:prewarmed", None),
        (NO_CONDA, "", [], "uv:prewarmed", None),
        ({"uv": {"requires-python": ">=3.11"}}, "", [], "uv:prewarmed", None),
        ({"uv": {}}, "", [], "uv:prewarmed", None),
        ({"uv": None}, "", [], "uv:prewarmed", None),
        # what its first cell says
        ({}, SCRIPT, [], "uv:pep723", None),
        ({}, ONLY_PYTHON, [], "uv:pep723", None),
        ({}, NOTHING, [], "uv:prewarmed", None),
        ({}, "import rich", [], "uv:prewarmed", None),
        (UV, SCRIPT, [], "uv:inline", None),
        (CONDA, SCRIPT, [], "conda:inline", None),
        (NO_UV, SCRIPT, [], "uv:pep723", None),
        # the project above it
        ({}, "", [PYPROJECT], "uv:pyproject", None),
        ({}, "", [PIXI], "conda:pixi", None),
        ({}, "", [YML], "conda:env_yml", None),
        ({}, "", [YAML], "conda:env_yml", None),
        ({}, "", [{}, PYPROJECT], "uv:pyproject", None),
        ({}, "", [{}, {}, {}, PIXI], "conda:pixi", None),
        ({}, "", [PYPROJECT, PIXI], "uv:pyproject", None),
        ({}, "", [PIXI, PYPROJECT], "conda:pixi", None),
        ({}, "", [YML, PYPROJECT], "conda:env_yml", None),
        ({}, "", [PYPROJECT | PIXI], "uv:pyproject", None),
        ({}, "", [PIXI | YML], "conda:pixi", None),
        ({}, "", [PYPROJECT | YML], "uv:pyproject", None),
        ({}, "", [TOOLS], "uv:prewarmed", None),
        ({}, "", [TOOLS | PIXI], "conda:pixi", None),
        ({}, "", [TOOLS, PYPROJECT], "uv:pyproject", None),
        ({}, "", [{}, {}], "uv:prewarmed", None),
        (NO_UV, "", [PYPROJECT], "uv:pyproject", None),
        (NO_CONDA, NOTHING, [YML], "conda:env_yml", None),
        # both
        (UV, "", [PYPROJECT], "uv:inline", "uv:pyproject"),
        (UV, "", [PIXI], "uv:inline", "conda:pixi"),
        (UV, "", [YML], "uv:inline", "conda:env_yml"),
        (UV, "", [{}, PYPROJECT], "uv:inline", "uv:pyproject"),
        (CONDA, "", [PYPROJECT], "conda:inline", "uv:pyproject"),
        (CONDA, "", [PIXI], "conda:inline", "conda:pixi"),
        (CONDA, "", [YML], "conda:inline", "conda:env_yml"),
        (BOTH, SCRIPT, [PYPROJECT, PIXI], "uv:inline", "uv:pyproject"),
        ({}, SCRIPT, [PYPROJECT], "uv:pep723", "uv:pyproject"),
        ({}, SCRIPT, [PIXI], "uv:pep723", "conda:pixi"),
        ({}, SCRIPT, [YML], "uv:pep723", "conda:env_yml"),
        ({}, SCRIPT, [TOOLS], "uv:pep723", None),
        (UV, "", [TOOLS], "uv:inline", None),
        # neither
        ({}, "", [], "uv:prewarmed", None),
    ],
)
@pytest.mark.parametrize("python_env", ["uv", "conda"])
def test_the_environment(
    runt: Any,
    code: str,
    levels: list[dict[str, bytes]],
    inline_first: str,
    otherwise: str | None,
    python_env: str,
) -> None:
    for first, label in ((True, inline_first), (False, otherwise or inline_first)):
        detected = found(
            {"kernelspec": PYTHON, "runt": runt},
            code,
            *levels,
            default_python_env=python_env,
            inline_first=first,
        )
        expected = label.replace("uv:prewarmed", f"{python_env}:prewarmed")
        assert detected.source == expected
        assert [rule.name for rule in detected.environment_rules if rule.matched] == [expected]
        assert detected.environment_rules[-1].matched
        assert detected.is_from_notebook == (expected in ("uv:inline", "conda:inline", "uv:pep723"))
        assert (detected.project is not None) == (
            expected in ("uv:pyproject", "conda:pixi", "conda:env_yml")
        )


def test_what_is_to_be_installed() -> None:
    uv = {"uv": {"dependencies": ["numpy>=2", "rich"], "requires-python": ">=3.11"}}
    detected = found({"runt": uv})
    assert [each.text for each in detected.requirements] == ["numpy>=2", "rich"]
    assert detected.python == ">=3.11"
    conda = {"conda": {"dependencies": ["scipy"], "channels": ["a", "b"], "python": "3.12"}}
    detected = found({"runt": conda})
    assert ([each.text for each in detected.requirements], detected.channels) == (
        ["scipy"],
        ("a", "b"),
    )
    assert detected.python == "3.12"
    detected = found({}, SCRIPT)
    assert ([each.text for each in detected.requirements], detected.script) == (["rich"], SCRIPT)


@pytest.mark.parametrize(
    ("runt", "code", "levels", "message"),
    [
        ({"uv": {"dependencies": ["a b"]}}, "", [], "metadata.runt.uv.dependencies: 'a b' is no"),
        ({"conda": {"dependencies": ["="]}}, "", [], "metadata.runt.conda.dependencies: '=' names"),
        ({}, '# /// script\n# dependencies = ["a b"]\n# ///', [], "block: 'a b' is no"),
        ({}, "# /// script\n# a\n# ///", [], "block is no TOML"),
        ({}, "", [{"pyproject.toml": b"["}], "/a/pyproject.toml is no TOML"),
        ({}, "", [{"pixi.toml": b"["}], "/a/pixi.toml is no TOML"),
        ({}, "", [{"environment.yml": b"["}], "/a/environment.yml is no YAML"),
    ],
)
def test_what_matches_and_cannot_be_meant_is_an_error(
    runt: Any, code: str, levels: list[dict[str, bytes]], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        found({"runt": runt}, code, *levels)
    assert message in str(error.value)


def test_what_does_not_match_may_be_broken() -> None:
    broken = {"pyproject.toml": b"["}
    assert found({"runt": UV}, "# /// script\n# a\n# ///", broken).source == "uv:inline"


def test_each_rule_says_why() -> None:
    detected = found({"runt": NO_UV}, "", TOOLS, PIXI)
    said = {rule.name: rule.why for rule in detected.environment_rules}
    assert said == {
        "uv:inline": "metadata.runt.uv lists none",
        "conda:inline": "the notebook has none",
        "uv:pep723": "its first code cell has no '# /// script' block",
        "conda:pixi": "/a/pixi.toml is the closest",
    }
    assert [(str(each.path), each.why) for each in detected.passed] == [
        ("/a/b/pyproject.toml", "it has no [project] table: settings of tools, but no project")
    ]


files = st.sampled_from([{}, PYPROJECT, TOOLS, PIXI, YML, YAML, PYPROJECT | PIXI, TOOLS | YML])


@given(
    runt=st.sampled_from([{}, UV, CONDA, BOTH, NO_UV, NO_CONDA]),
    code=st.sampled_from(["", SCRIPT, NOTHING]),
    levels=st.lists(files, max_size=5),
    inline_first=st.booleans(),
)
def test_one_rule_matches_and_it_is_the_first_that_can(
    runt: Any, code: str, levels: list[dict[str, bytes]], inline_first: bool
) -> None:
    inline = [
        f"{each}:inline" for each in ("uv", "conda") if runt.get(each, {}).get("dependencies")
    ]
    inline += ["uv:pep723"] if code == SCRIPT else []
    labels = dict(zip(NAMES, ("uv:pyproject", "conda:pixi", *["conda:env_yml"] * 2), strict=True))
    project = [
        labels[name]
        for each in levels
        for name in NAMES
        if name in each and each.get(name) != TOOLS["pyproject.toml"]
    ]
    expected = inline + project if inline_first else project + inline
    assert found({"runt": runt}, code, *levels, inline_first=inline_first).source == (
        expected[0] if expected else "uv:prewarmed"
    )
