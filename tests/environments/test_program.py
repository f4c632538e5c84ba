"""A program that is run to its end, and ends with who runs it."""

from __future__ import annotations

import os
import sys

import pytest

from proxy.environments import program
from proxy.errors import EnvironmentFailed

pytestmark = pytest.mark.trio


async def test_what_it_writes_and_how_it_ends() -> None:
    heard: list[str] = []
    script = "echo one >&2; echo out; printf two >&2; exit 3"
    ended = await program.run(["sh", "-c", script], env=os.environ, heard=heard.append)
    assert ended == program.Ended(status=3, written="out\n", lines=("one", "two"))
    assert heard == ["one"], "a line is one when it has ended"


@pytest.mark.parametrize(("with_stdin", "status"), [(True, 0), (False, 1)])
async def test_it_may_know_that_we_are_there(with_stdin: bool, status: int) -> None:
    """Its stdin has nothing to read and has not ended: ``select`` says so."""
    code = "import select, sys; sys.exit(len(select.select([sys.stdin], [], [], 0.2)[0]))"
    ended = await program.run([sys.executable, "-c", code], env=os.environ, with_stdin=with_stdin)
    assert ended.status == status


async def test_at_rest_it_gives_way_to_others() -> None:
    code = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
    ended = await program.run([*program.AT_REST, sys.executable, "-c", code], env=os.environ)
    assert ended.written == "19\n"


async def test_one_that_is_not_there_is_one_line() -> None:
    with pytest.raises(EnvironmentFailed, match=r"^cannot run /nowhere: No such file"):
        await program.run(["/nowhere", "x"], env=os.environ)
