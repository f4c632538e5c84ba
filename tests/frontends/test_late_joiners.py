"""Who comes late: on the ports with a replay, what was missed comes first, to it alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.kmux_process import Client, Kmux, Workplace, until
from tests.frontends.test_widgets import ask_for_states

pytestmark = pytest.mark.timeout(120)


def replay_file(kmux: Kmux) -> Path:
    file = kmux.file
    return file.with_name(f"{file.stem}-replay.json")


def missed(client: Client) -> list[dict[str, Any]]:
    """What a newcomer is sent, up to the first message that is no replay: its own status."""
    asked = client.kernel_info()
    heard = []
    while True:
        message = client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") == asked:
            return heard
        heard.append(message)


def test_a_recorder_is_sent_widgets_and_the_running_cell_and_nobody_else_is(
    workplace: Workplace,
) -> None:
    with workplace.run("--name", "shared", "--replay") as kmux:
        alice = kmux.client()
        alice.run(
            "import ipywidgets, time\n"
            "picture = ipywidgets.Image(value=b'\\x00\\xffold', format='png')\n"
            "slider = ipywidgets.IntSlider(3)\n"
            "slider.value = 7; picture.value = b'\\x00\\xffnew'"
        )
        alice.run("print(slider.model_id, picture.model_id)")
        slider, picture = alice.text().split()
        cell = alice.execute(
            "print('begun', flush=True)\nprint('so far', flush=True)\ntime.sleep(4); print('end')"
        )
        while alice.hear_stream(cell) != "so far\n":
            pass
        recorders = [kmux.client(ready=False, file=replay_file(kmux)) for _ in range(2)]
        heard = [missed(recorder) for recorder in recorders]
        assert alice.finish(cell)["status"] == "ok"
        assert "comm_open" not in [message["msg_type"] for message in alice.out]
        for messages in heard:
            kinds = [message["msg_type"] for message in messages]
            assert kinds[:2] == ["iopub_welcome", "status"]
            assert messages[1]["content"] == {"execution_state": "busy"}
            opens = {m["content"]["comm_id"]: m for m in messages if m["msg_type"] == "comm_open"}
            assert opens[slider]["content"]["data"]["state"]["value"] == 7
            assert opens[slider]["metadata"] == {"version": "2.1.0"}
            assert opens[picture]["content"]["data"]["buffer_paths"] == [["value"]]
            assert list(map(bytes, opens[picture]["buffers"])) == [b"\x00\xffnew"]
            order = list(opens)
            for layout in ("layout", "style"):
                reference = opens[slider]["content"]["data"]["state"][layout]
                assert order.index(reference.removeprefix("IPY_MODEL_")) < order.index(slider)
            shown = messages[kinds.index("execute_input") :]
            assert shown[0]["parent_header"]["msg_id"] == cell
            assert "".join(m["content"].get("text", "") for m in shown) == "begun\nso far\n"
        for recorder in recorders:
            assert recorder.hear_stream(cell) == "end\n", "and then what comes"


def test_the_file_for_recorders_is_private_and_goes_with_the_session(workplace: Workplace) -> None:
    with workplace.run("--name", "shared", "--replay") as kmux:
        file = replay_file(kmux)
        until(file.exists, "the file is there")
        own, other = json.loads(kmux.file.read_text()), json.loads(file.read_text())
        assert own["key"] == other["key"]
        assert own["shell_port"] != other["shell_port"]
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_kernel_that_kmux_finds_running_tells_it_its_widgets(
    workplace: Workplace, busy: bool
) -> None:
    """Also while a cell runs: over control and a subshell."""
    with workplace.kernel() as (file, owner):
        owner.run(
            "import ipywidgets, time\n"
            "picture = ipywidgets.Image(value=b'\\x00\\xff', format='png')\n"
            "slider = ipywidgets.IntSlider(3); slider.value = 7"
        )
        owner.run("print(slider.model_id, picture.model_id)")
        slider, picture = owner.text().split()
        cell = owner.execute("print('begun', flush=True); time.sleep(60)") if busy else None
        if cell is not None:
            owner.hear_stream(cell)
        begun = time.monotonic()
        with workplace.run("--existing", str(file), "--name", "found") as kmux:
            late = kmux.client()
            states, _ = ask_for_states(late)
            took = time.monotonic() - begun
            assert kmux.ps()["status"] == ("busy" if busy else "idle")
            assert states[slider]["value"] == 7
            assert bytes(states[picture]["value"]) == b"\x00\xff"
            info = late.answer(late.get_shell_msg, late.comm_info())
            assert {slider, picture} <= set(info["content"]["comms"])
            assert late.ask_control("shutdown_request", {"restart": True})["content"]["ename"] == (
                "RestartRefused"
            )
            if cell is not None:
                assert took < 30, "the cell takes a minute"
                late.ask_control("interrupt_request")
                assert owner.finish(cell)["ename"] == "KeyboardInterrupt"
            assert late.run("print(slider.value)")["status"] == "ok"
            assert late.text() == "7\n"
        assert owner.run("1")["status"] == "ok", "kmux is gone, the kernel is not"


def test_a_kernel_that_is_not_there(workplace: Workplace) -> None:
    result = workplace.kmux("run", "--existing", str(workplace.root / "none.json"))
    assert result.returncode == 2
    assert "none.json" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
