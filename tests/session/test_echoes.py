"""Updates that the kernel repeats, in part, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session import echoes as module
from proxy.session.comms import CommMessage, read
from proxy.session.echoes import Echoes
from proxy.session.events import ClientSent
from tests.messages import message

ALICE = ClientId((b"zmq", b"alice"))


def moves(said: Message) -> ClientSent:
    return ClientSent(at=0, client=ALICE, channel=Channel.SHELL, message=said)


def update(
    state: dict[str, Any], method: str = "update", parent: Message | None = None, comm_id: str = "1"
) -> tuple[Message, CommMessage]:
    data = {"method": method, "state": state, "buffer_paths": []}
    said = message("comm_msg", {"comm_id": comm_id, "data": data}, parent=parent)
    content = read(said)
    assert content is not None
    return said, content


def sent(echoes: Echoes, state: dict[str, Any]) -> Message:
    said, content = update(state)
    assert echoes.sent(moves(said), content) is None
    return said


def left(echoes: Echoes, said: Message) -> set[str]:
    settled = echoes.settled(said.msg_id)
    return set(settled.fields) if settled is not None else set()


def test_what_is_not_repeated_is_left_when_it_settles() -> None:
    echoes = Echoes()
    moved = sent(echoes, {"value": 3, "upload": 1})
    assert left(echoes, moved) == {"value", "upload"}
    assert left(echoes, moved) == set(), "once"
    assert not echoes.kernel_echoes


@pytest.mark.parametrize("method", ["echo_update", "update"])
def test_what_is_repeated_or_corrected_is_not(method: str) -> None:
    echoes = Echoes()
    moved = sent(echoes, {"value": 3, "upload": 1})
    echoes.heard(*update({"value": 2}, method, parent=moved))
    assert left(echoes, moved) == {"upload"}
    assert echoes.kernel_echoes == (method == "echo_update")


def test_another_comms_update_or_another_parents_repeats_nothing() -> None:
    echoes = Echoes()
    moved, later = sent(echoes, {"value": 3}), sent(echoes, {"value": 4})
    echoes.heard(*update({"value": 3}, parent=moved, comm_id="2"))
    echoes.heard(*update({"value": 3}))
    echoes.heard(*update({"value": 3}, parent=later))
    assert left(echoes, moved) == {"value"}
    assert left(echoes, later) == set()


def test_requests_and_custom_messages_are_none() -> None:
    echoes = Echoes()
    for data in ({"method": "request_state"}, {"method": "custom", "content": {}}, {}):
        said = message("comm_msg", {"comm_id": "1", "data": data})
        content = read(said)
        assert content is not None
        assert echoes.sent(moves(said), content) is None
    assert len(echoes) == 0
    assert echoes.settled(MsgId("unknown")) is None


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    echoes = Echoes()
    first = sent(echoes, {"value": 1})
    sent(echoes, {"value": 2})
    said, content = update({"value": 3})
    overdue = echoes.sent(moves(said), content)
    assert overdue is not None
    assert overdue.event.message is first
    echoes.clear()
    assert len(echoes) == 0
