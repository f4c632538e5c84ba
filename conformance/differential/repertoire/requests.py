"""Requests other than cells, on shell and on control, whole and malformed, known and unknown."""

from __future__ import annotations

from typing import Any

from conformance.differential.conversation import Channel, Say
from conformance.differential.repertoire.scene import Scene, cell, move

HISTORY = {"output": False, "raw": True}

WELL_FORMED: dict[str, tuple[Any, ...]] = {
    "complete_request": (
        {"code": "pri", "cursor_pos": 3},
        {"code": "import os; os.pa", "cursor_pos": 16},
        {"code": "日本語 = 1; 日", "cursor_pos": 9},
        {"code": "", "cursor_pos": 0},
        {"code": "%his", "cursor_pos": None},
    ),
    "inspect_request": (
        {"code": "len", "cursor_pos": 3, "detail_level": 0},
        {"code": "len", "cursor_pos": 1, "detail_level": 1},
        {"code": "nothing_of_that_name", "cursor_pos": 2, "detail_level": 0},
        {"code": "", "cursor_pos": 0},
        {"code": "int.real", "cursor_pos": 6, "omit_sections": ["docstring"]},
    ),
    "is_complete_request": (
        {"code": "1"},
        {"code": "for x in y:"},
        {"code": "1 +"},
        {"code": "x = = 1"},
        {"code": ""},
        {"code": "日本語", "surplus": 1},
    ),
    "history_request": (
        {**HISTORY, "hist_access_type": "tail", "n": 3},
        {**HISTORY, "hist_access_type": "tail", "n": 0},
        {**HISTORY, "hist_access_type": "range", "session": 0, "start": 1, "stop": 4},
        {**HISTORY, "hist_access_type": "search", "n": 2, "pattern": "*print*", "unique": True},
        {**HISTORY, "hist_access_type": "nonsense"},
        {"output": True, "raw": False, "hist_access_type": "range", "session": 0, "start": 1},
    ),
    "kernel_info_request": ({}, {"surplus": 1}),
    "comm_info_request": (
        {},
        {"target_name": "jupyter.widget"},
        {"target_name": "none.such"},
        {"target_name": None},
        {"target_name": ""},
        {"target_name": 5},
    ),
    "connect_request": ({},),
}
MALFORMED: dict[str, tuple[Any, ...]] = {
    "complete_request": (
        {},
        {"code": "x"},
        {"cursor_pos": 1},
        {"code": "x.", "cursor_pos": 200},
        b"[",
    ),
    "inspect_request": ({}, {"code": "len"}, {"code": None, "cursor_pos": 0}, b"null"),
    "is_complete_request": ({}, {"code": 5}, {"code": None}, b"[]"),
    "history_request": ({}, {"hist_access_type": "tail"}, {**HISTORY, "surplus": 1}, b"{"),
    "kernel_info_request": (b"[]", b"null", b"{", b"\xff", b'"text"'),
    "comm_info_request": (b"[]", b"null", b"{"),
    "interrupt_request": (b"[]", b"null"),
    "list_subshell_request": (b"[]",),
    "delete_subshell_request": ({}, b"[]"),
    "usage_request": (b"[]",),
    "debug_request": ({}, b"[]"),
}
ON_CONTROL_ONLY = (
    "list_subshell_request", "delete_subshell_request", "usage_request", "debug_request",
    "interrupt_request",
)  # fmt: skip
UNKNOWN = (
    "foo_request",
    "foo",
    "",
    "apply_request",
    "execute_reply",
    "kernel_info_reply",
    "input_reply",
    "status",
    "stream",
    "shutdown_reply",
    "comm_info",
    "_request",
    "日本語_request",
)


def channel(scene: Scene) -> Channel:
    return "control" if scene.maybe(0.3) else "shell"


@move(10)
def asks(scene: Scene) -> None:
    msg_type = scene.chance.choice(list(WELL_FORMED))
    content = scene.chance.choice(WELL_FORMED[msg_type])
    scene.step("request", Say(msg_type=msg_type, content=content, channel=channel(scene)))


@move(2)
def asks_several(scene: Scene) -> None:
    said = []
    on = channel(scene)
    for _ in range(scene.one_of(2, 3, 4)):
        msg_type = scene.chance.choice(list(WELL_FORMED))
        content = scene.chance.choice(WELL_FORMED[msg_type])
        said.append(Say(msg_type=msg_type, content=content, channel=on))
    scene.step("several requests at once", *said)


@move(2)
def asks_wrongly(scene: Scene) -> None:
    msg_type = scene.chance.choice(list(MALFORMED))
    content = scene.chance.choice(MALFORMED[msg_type])
    on: Channel = "control" if msg_type in ON_CONTROL_ONLY else channel(scene)
    said = Say(msg_type=msg_type, content=content, channel=on, answer="nothing")
    scene.step("malformed request", said)


@move(2)
def asks_what_is_unknown(scene: Scene) -> None:
    said = Say(
        msg_type=scene.chance.choice(UNKNOWN),
        content=scene.one_of({}, {"code": "1"}, {"status": "ok"}, {"execution_state": "busy"}),
        channel=channel(scene),
        answer="nothing",
    )
    scene.step("unknown type", said)


@move(0.4)
def asks_on_the_wrong_channel(scene: Scene) -> None:
    msg_type = scene.one_of("debug_request", "usage_request", "create_subshell_request")
    scene.step("wrong channel", Say(msg_type=msg_type, content={}, answer="nothing"))


@move(0.3)
def comm_on_control(scene: Scene) -> None:
    """ipykernel knows no comm messages there."""
    msg_type = scene.one_of("comm_open", "comm_msg", "comm_close")
    content = {"comm_id": "@talk@-nowhere", "target_name": "none.such", "data": {}}
    said = Say(msg_type=msg_type, content=content, channel="control", answer="nothing")
    scene.step("comm on control", said)
    scene.step("request", Say(msg_type="comm_info_request", content={}))


@move(0.5)
def a_cell_on_control(scene: Scene) -> None:
    """It prints nothing: ipykernel gives output there the parent that shell had last."""
    scene.step("cell on control", cell("x = 1", channel="control"))


@move(0.5)
def asks_for_usage(scene: Scene) -> None:
    scene.step("usage", Say(msg_type="usage_request", content={}, channel="control"))


@move(0.4)
def debugs(scene: Scene) -> None:
    """A debugger that was attached leaves something behind: a shell command takes 5 s longer."""
    said = [_debug(1, "debugInfo", None)]
    if scene.maybe(0.3):
        scene.spoils = True
        said.append(_debug(2, "initialize", {"clientID": "someone", "adapterID": ""}))
        said.append(_debug(3, "dumpCell", {"code": "print(1)"}))
        said.append(_debug(4, "disconnect", {"restart": False, "terminateDebuggee": False}))
    for request in said:
        scene.step("debug", request)


def _debug(seq: int, command: str, arguments: dict[str, Any] | None) -> Say:
    content = {"type": "request", "seq": seq, "command": command, "arguments": arguments}
    if arguments is None:
        del content["arguments"]
    return Say(msg_type="debug_request", content=content, channel="control")
