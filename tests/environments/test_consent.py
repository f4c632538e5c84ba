"""What a notebook lists, shown and agreed to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.environments import consent
from proxy.environments.consent import YES, check, fingerprint, listed
from proxy.environments.detection import Choice, Detection, detect
from proxy.environments.wants import wants_of
from proxy.errors import ConfigError, NotTrusted

NOTEBOOK = Path("/home/me/report.ipynb")


def found(code: str = "", **runt: Any) -> Detection:
    cells = [{"cell_type": "code", "source": code}]
    wants = wants_of({"cells": cells, "metadata": {"runt": runt}})
    return detect(wants, [], Choice())


def script(*lines: str) -> Detection:
    return found("\n".join(["# /// script", *(f"# {line}" for line in lines), "# ///"]))


def test_what_is_no_mere_name_is_shown_for_what_it_is() -> None:
    lines = [
        "numpy>=2",
        "toy @ https://example.org/toy.whl",
        "git+https://example.org/toy",
        "./local",
        "--index-url https://example.org/simple",
    ]
    uv = {"dependencies": lines, "requires-python": ">=3.11, <3.14"}
    assert listed(found(uv=uv)) == [
        "numpy>=2",
        "toy @ https://example.org/toy.whl  (from a URL, not from the package index)",
        "git+https://example.org/toy  (from a URL, not from the package index)",
        "./local  (from a path on this machine)",
        "--index-url https://example.org/simple  (an option of the installer)",
        "Python >=3.11, <3.14",
    ]


def test_conda_packages_and_their_channels() -> None:
    conda = {
        "dependencies": ["scipy", "mine::toy"],
        "channels": ["conda-forge", "conda-forge/label/dev", "https://example.org/c", "/srv/c"],
        "python": "3.12.*",
    }
    assert listed(found(conda=conda)) == [
        "scipy",
        "mine::toy  (from a channel of its own)",
        "Python 3.12.*",
        "channel conda-forge",
        "channel conda-forge/label/dev",
        "channel https://example.org/c  (at an address of its own)",
        "channel /srv/c  (at an address of its own)",
    ]


def test_all_that_a_script_says_to_uv() -> None:
    detection = script(
        'dependencies = ["toy"]',
        'requires-python = "/opt/python"',
        "[tool.uv]",
        'extra-index-url = ["http://a.example"]',
        "no-build-isolation = true",
        "[[tool.uv.index]]",
        'name = "mine"',
        'url = "http://b.example"',
        "[tool.uv.sources]",
        'toy = { git = "http://c.example", rev = "1" }',
        '"\\u202e" = [{ path = "x\\u001b[1m" }]',
    )
    assert listed(detection) == [
        "toy",
        "Python /opt/python  (no mere version: a program on this machine, or another kind)",
        '[tool.uv] extra-index-url = ["http://a.example"]  (packages come from there too)',
        "[tool.uv] no-build-isolation = true  (a setting of uv)",
        '[tool.uv] index = { name = "mine", url = "http://b.example" }'
        "  (packages come from there too)",
        '[tool.uv] sources.toy.git = "http://c.example"  (this package comes from there)',
        '[tool.uv] sources.toy.rev = "1"  (this package comes from there)',
        '[tool.uv] sources."\\u202e" = { path = "x\\u001b[1m" }  (this package comes from there)',
    ]


words = st.text(max_size=12) | st.sampled_from(["\x1b[2J", "\u202e", "a\nb", "\x85", "https://x"])


@given(channels=st.lists(words), python=words)
def test_no_line_does_something_to_a_terminal(channels: list[str], python: str) -> None:
    conda = {"dependencies": ["a"], "channels": channels, "python": python}
    for line in listed(found(conda=conda)):
        assert line.isprintable()


@pytest.mark.parametrize(
    "other",
    [
        {"uv": {"dependencies": ["six", "toy"]}},
        {"uv": {"dependencies": ["six==1"]}},
        {"uv": {"dependencies": ["six"], "requires-python": "3.12"}},
        {"conda": {"dependencies": ["six"]}},
        {"conda": {"dependencies": ["six"], "channels": ["a"]}},
        {"conda": {"dependencies": ["six"], "channels": ["b"]}},
        {"conda": {"dependencies": ["six"], "python": "a"}},
    ],
)
def test_who_agrees_to_one_agrees_to_no_other(other: dict[str, Any]) -> None:
    one = found(uv={"dependencies": ["six"]})
    assert fingerprint(one) == fingerprint(found(uv={"dependencies": [" six "]}))
    assert fingerprint(one) != fingerprint(found(**other))


def test_code_beside_a_script_is_not_agreed_to_and_all_of_the_script_is() -> None:
    code = '# /// script\n# dependencies = ["six"]\n# ///\n'
    assert fingerprint(found(code)) == fingerprint(found(f"{code}import six"))
    more = code.replace("# ///\n", '# [tool.uv]\n# index-url = "http://x"\n# ///\n')
    assert fingerprint(found(code)) != fingerprint(found(more))


def test_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    wants = found(uv={"dependencies": ["six"]})
    for said, trusted in (("", True), (YES, False), (fingerprint(wants), False)):
        check(wants, NOTEBOOK, "text", said, lambda text, it=trusted: it and text == "text")
    for said in ("no", "YES", fingerprint(found(uv={"dependencies": ["toy"]}))):
        with pytest.raises(NotTrusted, match="what was agreed to is another list"):
            check(wants, NOTEBOOK, "text", said, lambda _: False)


def test_a_project_and_what_has_no_list_need_nobodys_word() -> None:
    for detection in (found(), found(deno={"permissions": ["-A"]})):
        check(detection, None, None, "", lambda _: pytest.fail("it is not asked"))


def test_the_error_says_what_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    lines = ["six", "toy @ https://example.org/toy.whl", "-e .", f"six=={'1' * 100}", "five"]
    wants = found(uv={"dependencies": lines})
    with pytest.raises(NotTrusted) as error:
        check(wants, Path("/tmp/my report.ipynb"), "", "", lambda _: False)
    assert str(error.value) == (
        "/tmp/my report.ipynb asks to install six, toy @ https://example.org/toy.whl (from a URL, "
        "not from the package index), -e . (an option of the installer) and 2 more, and nobody "
        "here has agreed to that; look at it (kmux env explain '/tmp/my report.ipynb') and say "
        "--trust, or: jupyter trust '/tmp/my report.ipynb'"
    )
    assert (error.value.exit_code, error.value.status) == (2, 403)


def test_the_error_is_one_short_line_whatever_is_listed() -> None:
    url = f"toy @ https://example.org/{'x' * 10_000}"
    wants = found(uv={"dependencies": [url] * 500})
    with pytest.raises(NotTrusted) as error:
        check(wants, Path("/tmp/a\nb.ipynb"), "", "", lambda _: False)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 800
    assert "…" in str(error.value)


def test_the_command_that_the_error_names_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    named = consent._jupyter_trust()
    assert named == str(Path(sys.executable).parent / "jupyter-trust")
    asked = subprocess.run([named, "--version"], capture_output=True, check=True)
    assert asked.stdout
    monkeypatch.setenv("PATH", os.path.dirname(named))
    assert consent._jupyter_trust() == "jupyter trust"


def test_a_detection_can_be_told_by_its_json_and_its_fingerprint_stays() -> None:
    wants = found(uv={"dependencies": ["six"]})
    again = msgspec.json.decode(msgspec.json.encode(wants), type=Detection)
    assert fingerprint(again) == fingerprint(wants)


@pytest.mark.parametrize("python", ["--python-downloads-json-url=http://x", "-v"])
def test_a_python_that_is_an_option_of_uv_is_none(python: str) -> None:
    import trio

    from proxy.environments.progress import tell_nobody
    from proxy.environments.uv import Uv
    from proxy.environments.uv_environments import find_python

    with pytest.raises(ConfigError, match="is no Python; one is written like"):
        trio.run(find_python, Uv(Path("/nowhere")), python, tell_nobody)
