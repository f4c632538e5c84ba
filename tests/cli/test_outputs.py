"""``kmux outputs``, as a user sees it: what cells have shown, also while they do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from proxy.cli.outputs import Printer
from proxy.cli.screen import Screen
from proxy.record.export import ran_in_order
from proxy.record.following import Follower
from tests.cli.test_export import run_cell
from tests.cli.test_screen import Out
from tests.frontends.kmux_process import DEADLINE, Workplace
from tests.record import facts as f
from tests.record.recorded import Recorded

pytestmark = pytest.mark.timeout(180)

PLOT = """
from IPython.display import Image
import base64
Image(base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='))
""".strip()

LOOP = r"""
for n in range(2):
    print(n, 'tab\t\x1b[1mbold\x1b[0m  ')
'r'
""".strip()


@contextmanager
def following(workplace: Workplace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``kmux outputs`` for as long as it takes, and read along."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "outputs", *arguments],
        env=workplace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def rest(process: subprocess.Popen[str]) -> str:
    """All that it still prints, once it has ended well."""
    assert process.stdout is not None
    printed = process.stdout.read()
    assert process.wait(DEADLINE) == 0
    return printed


def test_cells_are_shown_with_what_they_have_shown(workplace: Workplace) -> None:
    with workplace.run("--name", "shared") as kmux:
        client = kmux.client()
        assert workplace.kmux("outputs", "shared", "--last").stderr == (
            "kmux: no cell has run in shared yet\n"
        )
        first = client.execute(LOOP)
        client.finish(first)
        client.finish(run_cell(client, "of-the-notebook", "1/0"))
        client.run(PLOT)
    shown = workplace.kmux("outputs", "shared").stdout
    assert shown.startswith(
        "In [1]: for n in range(2):\n   ...:     print(n, 'tab\\t\\x1b[1mbold\\x1b[0m  ')\n"
        "   ...: 'r'\n0 tab\t\x1b[1mbold\x1b[0m  \n1 tab\t\x1b[1mbold\x1b[0m  \n'r'\nIn [2]: 1/0\n"
    )
    assert shown.endswith("\n[image/png, 1x1, 70 B]\n")
    error = workplace.kmux("outputs", "shared", "--cell", "of-the-notebook").stdout
    assert "\x1b" not in error
    assert error.endswith("ZeroDivisionError: division by zero\n")
    last = workplace.kmux("outputs", "shared", "--last").stdout
    assert last == "[image/png, 1x1, 70 B]\n"
    for cell in ("1", first):
        assert workplace.kmux("outputs", "shared", "--cell", cell).stdout.endswith("  \n'r'\n")
    for arguments, said in (
        (["--cell", "nobody's"], 'no cell "nobody\'s" has run in shared; kmux outputs shared '),
        (["--cell", "1", "--last"], "--cell and --last exclude each other"),
    ):
        refused = workplace.kmux("outputs", "shared", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert said in refused.stderr


def test_printed_lines_are_printed_lines_byte_for_byte(workplace: Workplace) -> None:
    code = (
        "import os, time\nfor n in range(12_000):\n"
        "    print(f'{n:05}\\t\\x1b[3{n % 8}m{\"wide \" * (n % 60)}\\x1b[0m \\r\\b trailing  ')\n"
        "os.write(1, b'not UTF-8: \\xff\\xfe\\n')\ntime.sleep(0.5)"
    )
    wanted = "".join(
        f"{n:05}\t\x1b[3{n % 8}m{'wide ' * (n % 60)}\x1b[0m \r\b trailing  \n"
        for n in range(12_000)
    )
    workplace.environment.pop("PYTEST_CURRENT_TEST", None)  # ipykernel would not watch fd 1
    with workplace.run("--name", "shared") as kmux:
        kmux.client().run(code)
        shown = subprocess.run(
            [sys.executable, "-m", "proxy", "outputs", "shared", "--last"],
            env=workplace.environment,
            capture_output=True,
            timeout=60,
        )
    assert shown.stdout.decode() == wanted + "not UTF-8: \ufffd\ufffd\n"


def test_a_cell_is_followed_to_its_end(workplace: Workplace, tmp_path: Path) -> None:
    code = f"""
import os, pathlib, time
from IPython.display import display
shown = display('shown', display_id='d')
for n in range(3):
    print('line', n, flush=True)
    while not os.path.exists({str(tmp_path)!r} + f'/{{n}}'): time.sleep(0.01)
shown.update('changed')
print('no end', end='')
"""
    with workplace.run("--name", "shared") as kmux:
        client = kmux.client()
        client.run("print('a cell before')")
        client.hear_stream(cell := client.execute(code))
        waiting = client.execute("print('a cell behind')")
        with (
            following(workplace, "shared", "--last", "--follow") as last,
            following(workplace, "shared", "--cell", waiting, "--follow") as behind,
        ):
            assert line(last) == "'shown'\n"
            for n in range(3):
                assert line(last) == f"line {n}\n"
                (tmp_path / str(n)).touch()
            assert line(last) == "'changed'\n"
            assert rest(last) == "no end"
            assert rest(behind) == "a cell behind\n"
        client.finish(cell)


def test_a_session_is_followed_to_its_end_across_restarts(workplace: Workplace) -> None:
    with workplace.run("--name", "shared") as kmux:
        client = kmux.client()
        client.run("print('one')")
        with following(workplace, "shared", "--follow") as follower:
            assert [line(follower) for _ in range(2)] == ["In [1]: print('one')\n", "one\n"]
            client.run("print('two')")
            assert [line(follower) for _ in range(2)] == ["In [2]: print('two')\n", "two\n"]
            client.ask_control("shutdown_request", {"restart": True})
            client.run("print('three')")
            assert [line(follower) for _ in range(2)] == ["In [1]: print('three')\n", "three\n"]
            client.run("'last'")
            kmux.process.terminate()
            assert rest(follower) == "In [2]: 'last'\n'last'\n"


def test_a_cell_is_shown_once_its_number_is_known() -> None:
    recorded = Recorded(f.queued("1", "a"), f.sent("a"), f.queued("2", "b"), f.sent("b"))
    out = Out(is_terminal=False)
    fetch = recorded.whole.fetch
    printer = Printer(Screen(fetch, out, {}), Follower(fetch))
    for happened in (
        [],
        [f.says("execute_input", "a", code="", execution_count=1), f.prints("a\n", "a")],
        [f.says("execute_input", "b", code="", execution_count=2)],
        [f.prints("b\n", "b"), f.prints("more of a\n", "a"), f.ended("b")],
    ):
        recorded.take(*happened)
        printer.print(ran_in_order(recorded.whole.record))
    assert out.getvalue() == ("In [1]: 1\na\nIn [2]: 2\nIn [1]: 1\nmore of a\nIn [2]: 2\nb\n")


def test_a_terminal_gets_colours_and_pictures(workplace: Workplace) -> None:
    with workplace.run("--name", "shared") as kmux:
        client = kmux.client()
        client.finish(client.execute("1/0"))
        client.run(PLOT)
    environment = {**workplace.environment, "TERM": "xterm-kitty", "TMUX": "", "STY": ""}
    terminal = pexpect.spawn(
        sys.executable, ["-m", "proxy", "outputs", "shared"], env=environment, encoding="utf-8"
    )
    terminal.expect(pexpect.EOF, timeout=30)
    shown = terminal.before
    terminal.close()
    assert shown.startswith("\x1b[2mIn [1]: 1/0\x1b[0m\r\n\x1b[31m")
    assert "\x1b_Ga=T,f=100,q=2,m=0;iVBORw0KGgo" in shown


def test_a_session_that_is_not_there(workplace: Workplace) -> None:
    for arguments in (["nobody"], ["nobody", "--follow"], ["no/body", "--last"]):
        result = workplace.kmux("outputs", *arguments)
        assert result.returncode == 2
        assert result.stderr.startswith("kmux: there is no ")
        assert result.stderr.count("\n") == 1
