"""The command line as a whole: what it imports, and how it speaks of itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from proxy.cli.main import COMMANDS, FIRST
from tests.frontends.kmux_process import BIN, DEADLINE, Daemon, Workplace

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
        ["notebooks"],
        ["queue", "nobody"],
        ["attach", "nobody"],
        ["stop", "--all"],
        ["new", "a b"],
        ["daemon", "status"],
        ["daemon", "stop"],
        ["run", "--help"],
        ["config"],
        ["config", "restart"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_light_commands_import_little(daemon: Daemon, arguments: list[str]) -> None:
    """Some start the daemon, which ends with the test."""
    assert HEAVY & imported(daemon.workplace, arguments) == set()


@pytest.mark.parametrize("words", ["kmux ", "kmux queue ", "kmux config re"])
def test_nor_does_a_tab(workplace: Workplace, words: str) -> None:
    position = str(words.count(" "))
    asked = {"_KMUX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position}
    assert HEAVY & imported(workplace, [], **asked) == set()


def test_the_daemon_answers_before_it_imports_what_sessions_take(workplace: Workplace) -> None:
    """It took half a second, for which the first command waited."""
    program = "import proxy.cli.daemon_serve, sys; print(*sys.modules)"
    loaded = workplace.run_python(sys.executable, "-c", program).stdout.split()
    assert "trio" in loaded
    assert HEAVY & set(loaded) == {"trio"}


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
    seen = imported(workplace, ["run", "--standalone", "--kernel", "nobody's"])
    assert HEAVY & seen >= {"trio", "zmq", "structlog"}


def test_the_help_fits_a_screen_and_begins_with_what_a_newcomer_needs(
    workplace: Workplace,
) -> None:
    lines = workplace.kmux("--help", COLUMNS="80").stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    first = lines.index("First commands:")
    for name, text in FIRST.items():
        assert f"  {name:12}{text}" in lines[first + 1 : first + 7]
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", "\n".join(lines[first:])), name


def test_every_command_has_help_with_an_example(workplace: Workplace) -> None:
    """In one process: there are many."""
    result = workplace.run_python(sys.executable, "-c", ALL_HELP)
    helps = json.loads(result.stdout)
    assert set(COMMANDS) <= set(helps)
    for path, text in helps.items():
        assert text.startswith(f"Usage: kmux {path}".rstrip() + " ["), path
        assert "\n  Example:\n    " in text, path


ALL_HELP = """
import click, json
from proxy.cli.main import kmux

def helps(command, context):
    path = context.command_path.removeprefix("kmux").strip()
    yield path, command.get_help(context)
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        one = command.get_command(context, name)
        yield from helps(one, click.Context(one, parent=context, info_name=name))

print(json.dumps(dict(helps(kmux, click.Context(kmux, info_name="kmux")))))
"""


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
