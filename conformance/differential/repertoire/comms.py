"""Comms of all kinds but widgets: opened by the client or by a cell, used, closed."""

from __future__ import annotations

from typing import Any

from conformance.differential.conversation import Hear, Say
from conformance.differential.repertoire.scene import Scene, cell, move

TARGETS = """\
def opened(comm, message):
    comm.send({'opened with': message['content']['data']}, buffers=message['buffers'])
    def heard(message):
        data = message['content']['data']
        if data == 'close': comm.close({'bye': 1})
        elif data == 'fail': 1/0
        elif data == 'print': print('printed by a comm')
        else: comm.send({'echo': data}, {'meta': [1]}, buffers=message['buffers'])
    comm.on_msg(heard)
    comm.on_close(lambda message: print('closed with', message['content'].get('data')))
def refuses(comm, message): raise ValueError('not today')
manager = get_ipython().kernel.comm_manager
manager.register_target('differential.echo', opened)
manager.register_target('differential.refuses', refuses)
manager.register_target('differential.mute', lambda comm, message: None)"""
OPENS = """\
from comm import create_comm
side = create_comm(target_name='differential.side', data={'n': 1}, metadata={'m': 2},
                   buffers=[b'\\x00\\xff', b''])
def heard(message): side.send({'back': message['content']['data']}, buffers=message['buffers'])
side.on_msg(heard)
side.on_close(lambda message: print('the client closed it'))"""
DATA = (
    "hello",
    {"deep": {"list": [1, None, "日本語"]}},
    [],
    None,
    "print",
    "fail",
    {"method": "update"},
)


def open_comm(comm_id: str, target: str, **more: Any) -> Say:
    content = {"comm_id": comm_id, "target_name": target, "data": more.pop("data", {})}
    return Say(msg_type="comm_open", content=content, answer="idle", **more)


def comm_msg(comm_id: str, data: Any, **more: Any) -> Say:
    content = {"comm_id": comm_id, "data": data}
    return Say(msg_type="comm_msg", content=content, answer="idle", **more)


def close_comm(comm_id: str, data: Any = None, **more: Any) -> Say:
    content = {"comm_id": comm_id, "data": {} if data is None else data}
    return Say(msg_type="comm_close", content=content, answer="idle", **more)


def some_buffers(scene: Scene) -> tuple[bytes, ...]:
    return scene.one_of((), (), (b"\x00\x01",), (b"", b"x" * 5000))


@move(1.5)
def unknown_target(scene: Scene) -> None:
    comm_id = "@talk@-" + scene.new_label("comm")
    target = scene.one_of("none.such", "jupyter.widget.control", "jupyter.widget", "")
    scene.step("unknown target", open_comm(comm_id, target, data={"state": {}}))
    if scene.maybe(0.4):
        scene.step("comm of unknown target", comm_msg(comm_id, {"x": 1}))


@move(3)
def opened_by_the_client(scene: Scene) -> None:
    if not scene.targets:
        scene.step("targets", cell(TARGETS))
        scene.targets = True
    comm_id = "@talk@-" + scene.new_label("comm")
    target = scene.one_of("differential.echo", "differential.echo", "differential.mute")
    if scene.maybe(0.15):
        target = "differential.refuses"
    else:
        scene.own_comms.append(comm_id)
    data = scene.chance.choice(DATA)
    scene.step("comm_open", open_comm(comm_id, target, data=data, buffers=some_buffers(scene)))


@move(4)
def used(scene: Scene) -> None:
    comms = scene.own_comms + scene.kernel_comms
    if not comms:
        return opened_by_the_client(scene)
    comm_id = scene.chance.choice(comms)
    said = [
        comm_msg(
            comm_id, scene.chance.choice(DATA), buffers=some_buffers(scene),
            metadata=scene.one_of({}, {}, {"odd": ["日本語"]}),
        )
        for _ in range(scene.one_of(1, 1, 3))
    ]  # fmt: skip
    if scene.maybe(0.1):
        said.append(comm_msg(comm_id, "close"))
    return scene.step("comm_msg", *said)


@move(1.5)
def closed_by_the_client(scene: Scene) -> None:
    """A comm that the client used before, so that it is a wish and no refusal."""
    comms = scene.own_comms + scene.kernel_comms
    if not comms:
        return opened_by_the_client(scene)
    comm_id = scene.chance.choice(comms)
    acts = [comm_msg(comm_id, "last"), close_comm(comm_id, {"reason": "done"})]
    if scene.maybe(0.3):
        acts.append(comm_msg(comm_id, "after the end"))
    if scene.maybe(0.2):
        acts.append(close_comm(comm_id))
    return scene.step("comm_close", *acts)


@move(2)
def opened_by_the_kernel(scene: Scene) -> None:
    label = scene.new_label("opens")
    scene.kernel_comms.append(f"@{label}.comm-1@")
    scene.step("kernel opens a comm", cell(OPENS, label=label))
    code = scene.one_of(
        "side.send({'news': 1}, buffers=[b'n'])",
        "side.close({'by': 'kernel'})",
        "side.comm_id in get_ipython().kernel.comm_manager.comms",
        "",
    )
    if code:
        scene.step("kernel uses its comm", cell(code))


@move(0.7)
def opened_twice(scene: Scene) -> None:
    if not scene.own_comms:
        return opened_by_the_client(scene)
    comm_id = scene.chance.choice(scene.own_comms)
    scene.step("comm_open again", open_comm(comm_id, "differential.echo", data="again"))
    # The first one's end is told when it is collected.
    return scene.step("collect garbage", cell("import gc; gc.collect();"))


@move(1)
def of_nobody(scene: Scene) -> None:
    comm_id = "@talk@-nobody"
    said = scene.one_of(comm_msg(comm_id, {"x": 1}), close_comm(comm_id))
    scene.step("comm of nobody", said)


@move(0.7)
def malformed(scene: Scene) -> None:
    said = Say(
        msg_type=scene.one_of("comm_open", "comm_msg", "comm_close"),
        content=scene.one_of(
            {},
            {"comm_id": "@talk@-odd"},
            {"comm_id": None, "data": {}},
            {"comm_id": 5, "target_name": "none.such", "data": {}},
            {"comm_id": "@talk@-odd", "target_name": None, "data": {}},
            {"comm_id": ["@talk@-odd"], "target_name": "x", "data": {}},
            b"[]",
            b"null",
            b"{",
        ),
        answer="nothing",
    )
    scene.step("malformed comm message", said)
    scene.step("request", Say(msg_type="comm_info_request", content={}))


@move(0.7)
def during_an_async_cell(scene: Scene) -> None:
    """ipykernel takes comm messages up while a cell awaits, and publishes no status for them."""
    if not scene.targets:
        scene.step("targets", cell(TARGETS))
        scene.targets = True
    comm_id = "@talk@-" + scene.new_label("comm")
    waits = (
        "import asyncio\ncame = asyncio.Event()\n"
        "def opened_later(comm, message):\n    comm.on_msg(lambda message: came.set())\n"
        "get_ipython().kernel.comm_manager.register_target('differential.mute', opened_later)\n"
        "print('waits', flush=True)\nawait came.wait()\n'came'"
    )
    opened = open_comm(comm_id, "differential.mute")
    said = comm_msg(comm_id, "now")
    scene.step(
        "comm during an async cell",
        cell(waits),
        Hear("stream"),
        *(Say(msg_type=m.msg_type, content=m.content, answer="nothing") for m in (opened, said)),
    )
