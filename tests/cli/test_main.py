"""The command line as a whole: what it imports, and how it speaks of itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from proxy.cli.main import COMMANDS
from tests.frontends.kmux_process import BIN, DEADLINE, Workplace

HEAVY = {"trio", "zmq", "automerge", "jupyter_client", "jupyter_core", "structlog", "rich"}
"""Each takes longer to import than a light command to run."""

SCRIPT = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))
from proxy.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["ps"],
        ["ps", "--json"],
        ["queue", "nobody"],
        ["config"],
        ["config", "restart"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_light_commands_import_little(workplace: Workplace, arguments: list[str]) -> None:
    assert HEAVY & imported(workplace, arguments) == set()


@pytest.mark.parametrize("words", ["kmux ", "kmux queue ", "kmux config re"])
def test_nor_does_a_tab(workplace: Workplace, words: str) -> None:
    position = str(words.count(" "))
    asked = {"_KMUX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position}
    assert HEAVY & imported(workplace, [], **asked) == set()


def imported(workplace: Workplace, arguments: list[str], **environment: str) -> set[str]:
    """Which modules a command had imported when it was done."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**workplace.environment, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    modules = set(json.loads(result.stderr.splitlines()[-1]))
    assert "proxy.cli.main" in modules
    return modules


def test_what_is_imported_is_seen(workplace: Workplace) -> None:
    assert HEAVY & imported(workplace, ["run", "--help"]) >= {"trio", "zmq", "structlog"}


def test_every_command_is_listed_with_help(workplace: Workplace) -> None:
    listed = workplace.kmux("--help").stdout
    for name, text in COMMANDS.items():
        assert f"  {name}" in listed
        assert text.split()[0] in listed
        assert workplace.kmux(name, "--help").stdout.startswith(f"Usage: kmux {name} ")


def test_it_is_called_kmux_however_it_is_started(workplace: Workplace) -> None:
    """Else what is to be typed for help, and the variable of completion, would be others."""
    for command in ([str(BIN / "kmux")], [sys.executable, "-m", "proxy"]):
        result = subprocess.run(
            [*command, "queue"],
            env=workplace.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert result.returncode == 2
        assert result.stderr == "kmux: Missing argument 'NAME'. See: kmux queue --help\n"
