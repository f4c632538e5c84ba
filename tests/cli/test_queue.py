"""``kmux queue``, as a user sees it: a real kernel, cells of two frontends, one cancelled."""

from __future__ import annotations

import json

import pytest

from tests.frontends.kmux_process import Workplace, until

pytestmark = pytest.mark.timeout(120)


def test_the_queue_is_shown_and_a_cell_in_it_cancelled(workplace: Workplace) -> None:
    with workplace.run("--name", "shared") as kmux:
        alice, bob = kmux.client(), kmux.client()
        loop = alice.start_loop()
        own = [alice.execute(f"print('alice {n}')") for n in range(2)]
        unwanted, wanted = bob.execute("import this\nthis"), bob.execute("print('bob')")
        listed = until(
            lambda: [e for e in [queue(workplace)] if len(e) == 5], "all cells are in the queue"
        )[0]
        turns = [loop, unwanted, own[0], wanted, own[1]]
        assert [entry["msg_id"] for entry in listed] == turns
        assert [entry["state"] for entry in listed] == ["executing"] + ["queued"] * 4
        assert [bool(entry["since"]) for entry in listed] == [True] + [False] * 4
        assert listed[1]["client"] == bob.session.session
        assert listed[1]["code"] == "import this …"
        table = workplace.kmux("queue", "shared").stdout.splitlines()
        assert table[0].split("\t") == ["STATE", "SINCE", "CLIENT", "MSG ID", "SUBSHELL ID", "CODE"]
        assert len(table) == 6

        assert workplace.kmux("queue", "shared", "--cancel", unwanted).returncode == 0
        assert bob.reply(unwanted)["content"] == {"status": "aborted"}
        again = workplace.kmux("queue", "shared", "--cancel", unwanted)
        assert again.returncode == 2
        assert again.stderr.strip() == (
            f"kmux: no cell '{unwanted}' waits in shared; kmux queue shared lists them"
        )
        alice.ask_control("interrupt_request")
        assert alice.reply(loop)["content"]["ename"] == "KeyboardInterrupt"
        assert bob.finish(wanted)["status"] == "ok"
        for cell in own:
            assert alice.reply(cell)["content"] == {"status": "aborted"}
        shown = workplace.kmux("queue", "shared").stdout
        assert shown == "No cell runs or waits in shared.\n"


def queue(workplace: Workplace) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads(workplace.kmux("queue", "shared", "--json").stdout)
    return entries


def test_a_session_that_does_not_run(workplace: Workplace) -> None:
    result = workplace.kmux("queue", "nobody")
    assert result.returncode == 2
    assert result.stderr.strip() == ("kmux: no session 'nobody' runs; kmux ps lists those that do")
