"""The row of messages for WebSocket clients, and places in it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.endpoints.backlog import LAG_MESSAGES, MAX_JOINED_CHARACTERS, Backlog, size_of
from proxy.message import Channel, ClientId, Message
from tests.messages import cell, published

IOPUB, SHELL = Channel.IOPUB, Channel.SHELL
ALICE, BOB = ClientId((b"web", b"alice")), ClientId((b"web", b"bob"))
CELL, OTHER_CELL = cell("1"), cell("2")


def line(text: str, name: str = "stdout", of: Message = CELL) -> Message:
    return published("stream", parent=of, name=name, text=text)


def got(backlog: Backlog, client: ClientId, place: int = 0) -> list[Message]:
    return [entry.message for entry, _ in backlog.entries_for(client, place)]


def texts(messages: list[Message]) -> list[str]:
    return [str(message.content().get("text")) for message in messages]


def test_everybody_gets_what_is_for_everybody_or_for_him() -> None:
    backlog = Backlog()
    both, hers, his = line("both"), line("hers"), line("his")
    backlog.append(IOPUB, both)
    backlog.append(SHELL, hers, ALICE)
    backlog.append(SHELL, his, BOB)
    assert got(backlog, ALICE) == [both, hers]
    assert got(backlog, BOB) == [both, his]
    assert got(backlog, BOB, 1) == [his]
    assert got(backlog, BOB, backlog.end) == []


def test_a_frame_is_made_once_for_each_form() -> None:
    made: list[str] = []

    def one(channel: Channel, message: Message) -> bytes:
        made.append("one")
        return b"1"

    def other(channel: Channel, message: Message) -> bytes:
        made.append("other")
        return b"2"

    backlog = Backlog()
    backlog.append(IOPUB, line("x"))
    for client in (ALICE, BOB):
        for encode, frame in ((one, b"1"), (other, b"2")):
            ((entry, _),) = backlog.entries_for(client, 0)
            assert entry.frame(encode) == frame
    assert made == ["one", "other"]


def test_places_stay_when_what_is_before_them_is_forgotten() -> None:
    backlog = Backlog()
    messages = [published("x", number=number) for number in range(100)]
    for place, message in enumerate(messages):
        assert backlog.end == place
        backlog.append(IOPUB, message)
    whole = backlog.bytes_from(0)
    assert whole == sum(map(size_of, messages))
    for place in (1, 2, 40, 41, 99):
        backlog.drop_before(place)
        assert backlog.first == place
        assert got(backlog, ALICE, place) == messages[place:]
        assert backlog.bytes_from(place) == sum(map(size_of, messages[place:]))
    backlog.drop_before(100)
    assert (backlog.first, backlog.end, backlog.bytes_from(100)) == (100, 100, 0)
    backlog.append(IOPUB, messages[0])
    assert got(backlog, ALICE, 100) == messages[:1]


# Who lags behind


def fill(backlog: Backlog, *messages: Message) -> None:
    for message in messages:
        backlog.append(IOPUB, message)


def test_lines_are_one_message_for_who_lags() -> None:
    lines = [line(f"{number}\n") for number in range(LAG_MESSAGES + 1)]
    backlog = Backlog()
    fill(backlog, *lines)
    ((joined, place),) = backlog.entries_for(ALICE, 0)
    assert place == backlog.end
    assert joined.message.content() == {
        "name": "stdout",
        "text": "".join(f"{number}\n" for number in range(LAG_MESSAGES + 1)),
    }
    assert joined.message.raw_header == lines[0].raw_header
    assert joined.message.raw_parent == lines[0].raw_parent
    assert got(backlog, ALICE, 1) == lines[1:], "who does not lag gets each line as it came"


@pytest.mark.parametrize(
    "between",
    [
        line("warning", name="stderr"),
        line("of another cell", of=OTHER_CELL),
        published("display_data", parent=CELL, data={}),
        published("status", parent=CELL, execution_state="idle"),
    ],
)
def test_nothing_else_is_passed_by_lines(between: Message) -> None:
    backlog = Backlog()
    fill(backlog, *[line("a")] * LAG_MESSAGES, between, *[line("b")] * LAG_MESSAGES)
    first, middle, last = got(backlog, ALICE)
    assert texts([first, last]) == ["a" * LAG_MESSAGES, "b" * LAG_MESSAGES]
    assert middle.raw_header == between.raw_header


def test_a_reply_for_one_is_no_seam_for_the_others() -> None:
    backlog = Backlog()
    fill(backlog, *[line("a")] * LAG_MESSAGES)
    backlog.append(SHELL, published("execute_reply", parent=CELL), BOB)
    fill(backlog, line("b"))
    assert texts(got(backlog, ALICE)) == ["a" * LAG_MESSAGES + "b"]
    assert len(got(backlog, BOB)) == 3


def test_what_is_no_stream_as_it_should_be_passes_as_it_is() -> None:
    broken = msgspec.structs.replace(line("x"), raw_content=b'{"text": 7}')
    backlog = Backlog()
    fill(backlog, *[broken] * (LAG_MESSAGES + 1))
    assert got(backlog, ALICE) == [broken] * (LAG_MESSAGES + 1)


def test_a_joined_message_has_a_bound() -> None:
    backlog = Backlog()
    fill(backlog, *[line("x" * (MAX_JOINED_CHARACTERS // 8))] * (LAG_MESSAGES + 8))
    joined = texts(got(backlog, ALICE))
    assert max(map(len, joined)) <= 2 * MAX_JOINED_CHARACTERS
    assert sum(map(len, joined)) == (LAG_MESSAGES + 8) * (MAX_JOINED_CHARACTERS // 8)


kinds = st.sampled_from(["out", "err", "status", "for alice", "for bob"])


@given(st.lists(kinds, min_size=LAG_MESSAGES + 1, max_size=200), st.integers(0, 200))
def test_joining_loses_and_reorders_nothing(kinds: list[str], cut: int) -> None:
    """Whatever place a client goes on from that it was told."""
    backlog = Backlog()
    for number, kind in enumerate(kinds):
        if kind == "status":
            backlog.append(IOPUB, published("status", parent=CELL, text=f"{number} "))
        elif kind.startswith("for"):
            client = ALICE if kind == "for alice" else BOB
            backlog.append(SHELL, published("reply", parent=CELL, text=f"{number} "), client)
        else:
            backlog.append(IOPUB, line(f"{number} ", name=kind))
    wanted = [str(number) for number, kind in enumerate(kinds) if kind != "for bob"]
    heard: list[str] = []
    place = 0
    while place < backlog.end:
        step = [
            each for each, _ in zip(backlog.entries_for(ALICE, place), range(cut + 1), strict=False)
        ]
        if not step:
            break
        for entry, after in step:
            heard += json.loads(bytes(entry.message.raw_content))["text"].split()
            place = after
        backlog.drop_before(place)
    assert heard == wanted
