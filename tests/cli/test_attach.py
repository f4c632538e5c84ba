"""``kmux attach``: what each kind of ports is for, with real clients on them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontends.kmux_process import Client, Daemon, Workplace

pytestmark = pytest.mark.timeout(120)

WIDGETS = """
import ipywidgets
slider = ipywidgets.IntSlider(value=7)
picture = ipywidgets.Image(value=b"\\x00\\x01 not text")
box = ipywidgets.VBox([slider, picture])
"""


def test_the_four_kinds(daemon: Daemon) -> None:
    made = daemon.json("new", "shared")
    shared = daemon.attach(made["connection_file"])
    shared.run(WIDGETS)
    opened = [m["content"]["comm_id"] for m in shared.out if m["msg_type"] == "comm_open"]
    loop = shared.start_loop()

    assert daemon.kmux("attach", "shared").strip() == made["connection_file"]
    of_its_own = [daemon.kmux("attach", "shared", "--exclusive").strip() for _ in range(2)]
    assert len({made["connection_file"], *of_its_own}) == 3
    attached = daemon.json("attach", "shared", "--replay")
    assert attached["kind"] == "replay"
    assert (attached["name"], attached["kernel"]) == ("shared", "python3")
    assert attached["connection_file"] == daemon.kmux("attach", "shared", "--replay").strip()

    alone = daemon.attach(of_its_own[0])
    replay = daemon.attach(attached["connection_file"], ready=False)
    missed = heard_before(replay, loop)
    assert [m["content"]["comm_id"] for m in missed if m["msg_type"] == "comm_open"] == opened
    assert [bytes(b) for m in missed for b in m["buffers"]] == [b"\x00\x01 not text"]

    looking = daemon.attach(daemon.kmux("attach", "shared", "--read-only").strip())
    refused = looking.reply(looking.execute("slider.value = 0"))["content"]
    assert (refused["status"], refused["ename"]) == ("error", "ReadOnly")
    assert "look and not touch" in refused["evalue"]
    assert looking.ask_control("interrupt_request")["content"]["ename"] == "ReadOnly"

    alone.ask_control("interrupt_request")
    assert shared.finish(loop)["ename"] == "KeyboardInterrupt"
    seen = alone.execute("print('seen by all', slider.value)")
    assert looking.hear_stream(seen) == "seen by all 7\n"
    assert {c["kind"] for c in daemon.json("clients", "shared")} >= {"shared", "read_only"}


def heard_before(client: Client, cell: str) -> list[dict[str, Any]]:
    """What comes ahead of the running cell's output."""
    missed: list[dict[str, Any]] = []

    def is_output(message: dict[str, Any]) -> bool:
        missed.append(message)
        of_cell = message["parent_header"].get("msg_id") == cell
        return of_cell and message["msg_type"] == "stream"

    assert client.hear(is_output, "what the cell has printed")["content"]["text"] == "begun\n"
    return missed


def test_a_kmux_run_has_its_own_ports_only(workplace: Workplace, daemon: Daemon) -> None:
    with workplace.run("--name", "running") as kmux:
        file = str(kmux.file)
        assert daemon.kmux("attach", "running").strip() == file
        for command in (["attach", "running", "--exclusive"], ["rename", "running", "x"]):
            assert "running is of a kmux run" in daemon.refused(*command)
        assert daemon.refused("logs", "running").startswith("running is of a kmux run")
        assert daemon.kmux("stop", "running") == "stopped running\n"
        assert kmux.process.wait(15) == 0
    assert "no session 'running' runs" in daemon.refused("attach", "running")
