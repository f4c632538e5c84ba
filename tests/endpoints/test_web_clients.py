"""Frontends on WebSockets: what each is sent, and what it gets that comes back."""

from __future__ import annotations

import msgspec
import pytest
import trio

from proxy.endpoints import web_clients
from proxy.endpoints.arrivals import ASK_SECONDS, ASKS_IN_A_ROW
from proxy.endpoints.web_clients import WebClients
from proxy.message import Channel, Message
from proxy.sockets import Unreachable
from tests.endpoints.scene import TAG
from tests.endpoints.web_scene import Tab, WebRecorder, open_clients
from tests.inbox import eventually
from tests.messages import cell, published, reply

IOPUB, SHELL, CONTROL = Channel.IOPUB, Channel.SHELL, Channel.CONTROL
CELL = cell("1")


def said(text: str) -> Message:
    return published("stream", parent=CELL, name="stdout", text=text)


def publish(clients: WebClients, *texts: str) -> None:
    for text in texts:
        clients.publish(said(text))


# Those who are connected


@pytest.mark.parametrize("v1", [True, False], ids=["v1", "legacy"])
async def test_who_comes_is_welcomed_first_and_hears_what_follows(v1: bool) -> None:
    async with open_clients() as scene:
        publish(scene.clients, "before")
        alice = await scene.tab(v1=v1)
        await scene.sink.next("subscribed")
        publish(scene.clients, "after")
        await alice.hears("after")
        assert alice.heard.items[0][1]["header"]["msg_type"] == "iopub_welcome"
        assert [channel for channel, _ in alice.heard.items] == ["iopub", "iopub"]
        assert [r.what for r in scene.sink.reports.items] == ["returned", "subscribed"]


async def test_requests_come_with_their_sender_and_answers_go_back_to_it() -> None:
    async with open_clients() as scene:
        alice, bob = await scene.tab("alice"), await scene.tab("bob")
        for name, tab in (("alice", alice), ("bob", bob)):
            asked = cell(name)
            await tab.say(asked, CONTROL)
            report = await scene.sink.next("sent")
            assert (report.client, report.channel) == (scene.whose(name), CONTROL)
            assert report.message is not None
            assert report.message.raw_content == asked.raw_content
            scene.clients.send(scene.whose(name), CONTROL, reply(asked, text=name))
        await alice.hears("alice")
        await bob.hears("bob")
        assert alice.heard.items[-1][0] == "control"


async def test_who_is_not_to_hear_something_does_not() -> None:
    async with open_clients() as scene:
        alice, bob = await scene.tab("alice"), await scene.tab("bob")
        await scene.sink.until("subscribed", 2)
        assert scene.clients.by("") == {scene.whose("alice"), scene.whose("bob")}
        scene.clients.publish(said("not for alice "), frozenset([scene.whose("alice")]))
        publish(scene.clients, "for both ")
        await alice.hears("for both ")
        await bob.hears("not for alice ", "for both ")


async def test_nobody_is_reached_under_a_name_that_nobody_has() -> None:
    async with open_clients() as scene:
        with pytest.raises(Unreachable):
            scene.clients.send(scene.whose("nobody"), SHELL, said("x"))


async def test_who_has_no_name_cannot_come_back() -> None:
    async with open_clients() as scene:
        tab = await scene.tab(None)
        report = await scene.sink.next("returned")
        assert report.client is not None
        await tab.hang_up()
        await scene.gone()
        with pytest.raises(Unreachable):
            scene.clients.send(report.client, SHELL, said("x"))


@pytest.mark.parametrize("name", ["", "x" * 129, "a%00b", "%0a"])
async def test_a_name_that_is_none_is_refused(name: str) -> None:
    async with open_clients() as scene:
        tab = await scene.tab(name)
        await tab.closed.wait()
        assert tab.close_code == 1008
        await scene.front.rejections.next()


@pytest.mark.parametrize("payload", [b"", b"\x00", b"junk" * 100, "", "{}", "junk", "[1]"])
async def test_what_is_no_message_is_dropped_and_the_connection_goes_on(
    payload: bytes | str,
) -> None:
    async with open_clients() as scene:
        alice = await scene.tab()
        await alice.connection.send_message(payload)
        await scene.sink.next("rejected")
        await alice.say(CELL)
        assert (await scene.sink.next("sent")).message is not None


async def test_buffers_are_left_out_where_there_is_no_room_for_them_and_that_is_told_once() -> None:
    picture = msgspec.structs.replace(said("picture "), buffers=(bytes(range(256)),))
    async with open_clients() as scene:
        old, new = await scene.tab("old", v1=False), await scene.tab("new")
        await scene.sink.until("subscribed", 2)
        for _ in range(2):
            scene.clients.publish(picture)
        for tab in (old, new):
            await tab.hears("picture ", "picture ")
        assert old.heard.items[-1][1]["buffers"] == []
        assert new.heard.items[-1][1]["buffers"] == [bytes(range(256))]
        (report,) = scene.sink.of("buffers left out")
        assert report.client == scene.whose("old")


# Those who come back


@pytest.mark.parametrize("how", ["closes", "breaks off"])
async def test_who_comes_back_gets_what_it_missed_once_and_in_order(how: str) -> None:
    async with open_clients() as scene:
        alice, bob = await scene.tab(), await scene.tab("bob")
        await scene.sink.until("subscribed", 2)
        publish(scene.clients, "1 ", "2 ")
        await alice.hears("1 ", "2 ")
        await scene.arrived()
        await (alice.hang_up() if how == "closes" else alice.break_off())
        await scene.gone()
        publish(scene.clients, "3 ")
        scene.clients.send(scene.whose("alice"), SHELL, reply(CELL, text="4 "))
        scene.clients.send(scene.whose("bob"), SHELL, reply(CELL, text="for bob "))
        publish(scene.clients, "5 ")
        alice = await scene.tab()
        publish(scene.clients, "6 ")
        await alice.hears("3 ", "4 ", "5 ", "6 ")
        await bob.hears("1 ", "2 ", "3 ", "for bob ", "5 ", "6 ")
        assert scene.sink.of("returned")[-1].missed_nothing
        assert len(scene.sink.of("subscribed")) == 2, "it is no newcomer"


async def test_what_a_client_has_not_taken_in_comes_again_wherever_it_was() -> None:
    """Most of it is in buffers of the systems on both sides; as much could be in a proxy's."""
    lines = [f"{number:04} " + "x" * 5000 + "\n" for number in range(4000)]
    async with open_clients() as scene:
        first = await scene.tab(reads=False)
        await first.say(CELL)
        await scene.sink.next("sent")
        publish(scene.clients, "taken in ")
        for _ in range(2):  # it, and the welcome
            await first.connection.get_message()
        (connection,) = scene.clients._connections
        await eventually(lambda: connection.socket.arrivals.reached == 2)
        publish(scene.clients, *lines)
        await eventually(lambda: connection.socket.arrivals.is_under_way)
        await first.break_off()
        await scene.gone()
        second = await scene.tab()
        await second.heard.until(lambda _: ends(second, lines))
        assert "".join(second.texts()) == "".join(lines)


async def test_who_closes_says_before_what_it_has_taken_in() -> None:
    """So it is known to the message, if its new connection comes before its goodbye is read."""
    async with open_clients() as scene:
        first = await scene.tab()
        await first.say(CELL)
        await scene.sink.next("sent")
        publish(scene.clients, "1 ")
        await first.hears("1 ")
        scene._nursery.start_soon(first.hang_up)
        second = await scene.tab()
        publish(scene.clients, "2 ")
        await second.hears("2 ")


async def test_what_comes_without_a_pause_is_asked_for_now_and_then_and_in_the_end() -> None:
    async with open_clients() as scene:
        alice = await scene.tab()
        await scene.sink.next("subscribed")
        (connection,) = scene.clients._connections
        began = trio.current_time()
        for number in range(1000):
            publish(scene.clients, f"{number} ")
            await eventually(lambda: connection.next == scene.clients._backlog.end, 1)
        took = trio.current_time() - began
        await eventually(lambda: connection.socket.arrivals.reached == scene.clients._backlog.end)
        assert next(connection.socket.arrivals._numbers) <= ASKS_IN_A_ROW + took / ASK_SECONDS + 2
        await alice.hears(*(f"{number} " for number in range(1000)))


def ends(tab: Tab, lines: list[str]) -> bool:
    """Whether it has been told the last one."""
    last = tab.heard.items[-1:]
    return bool(last) and str(last[0][1]["content"].get("text")).endswith(lines[-1])


async def test_a_new_connection_takes_the_place_of_one_that_is_dead_and_does_not_know() -> None:
    async with open_clients() as scene:
        first = await scene.tab()
        await first.say(CELL)
        await scene.sink.next("sent")
        publish(scene.clients, "1 ")
        await first.hears("1 ")
        second = await scene.tab()
        await second.say(CELL)
        await scene.sink.next("sent")
        publish(scene.clients, "2 ")
        await second.hears("2 ")
        await first.closed.wait()
        assert first.close_code == 1000
        await first.hears("1 ")
        assert not scene.sink.of("left")
        assert len(scene.sink.of("returned")) == 1


async def test_of_two_connections_the_one_counts_that_speaks() -> None:
    """jupyter_server's gateway client opens two, never reads the first, and wants it open."""
    async with open_clients() as scene:
        mute = await scene.tab(reads=False)
        await scene.sink.next("subscribed")
        publish(scene.clients, "1 ")
        second = await scene.tab()
        publish(scene.clients, "2 ")
        await second.say(CELL)
        await scene.sink.next("sent")
        await second.hears("1 ", "2 ")
        assert mute.connection.closed is None
        await mute.break_off()
        publish(scene.clients, "3 ")
        await second.hears("1 ", "2 ", "3 ")
        assert not scene.sink.of("left")


async def test_it_does_so_whichever_comes_first() -> None:
    async with open_clients() as scene:
        first = await scene.tab()
        await first.say(CELL)
        await scene.sink.next("sent")
        mute = await scene.tab(reads=False)
        publish(scene.clients, "1 ")
        await first.hears("1 ")
        assert not scene.sink.of("left")
        assert mute.connection.closed is None


async def test_one_that_had_not_spoken_yet_goes_on_when_it_does() -> None:
    """The mute one has come between its connection and its first word."""
    async with open_clients() as scene:
        first = await scene.tab()
        await scene.sink.next("subscribed")
        publish(scene.clients, "1 ")
        await first.hears("1 ")
        mute = await scene.tab(reads=False)
        publish(scene.clients, "2 ")
        await first.say(CELL)
        await scene.sink.next("sent")
        publish(scene.clients, "3 ")
        await first.hears("1 ", "2 ", "3 ")
        assert mute.connection.closed is None
        assert first.connection.closed is None


async def test_who_only_listens_gets_the_rest_when_its_former_connection_ends() -> None:
    async with open_clients() as scene:
        first = await scene.tab()
        await first.say(CELL)
        await scene.sink.next("sent")
        publish(scene.clients, "1 ")
        await first.hears("1 ")
        await scene.arrived()
        second = await scene.tab()
        await first.break_off()
        publish(scene.clients, "2 ")
        await second.hears("2 ")
        assert not scene.sink.of("left")


async def test_who_has_left_the_page_does_not_come_back() -> None:
    async with open_clients() as scene:
        alice = await scene.tab()
        await scene.sink.next("subscribed")
        await alice.hang_up(1001)
        await scene.gone()
        publish(scene.clients, "1 ")
        alice = await scene.tab()
        publish(scene.clients, "2 ")
        await alice.hears("2 ")
        assert len(scene.sink.of("subscribed")) == 2, "it is a newcomer"


async def test_what_is_kept_for_who_is_away_is_kept_for_a_time() -> None:
    now = 0.0
    async with open_clients(away_seconds=100, clock=lambda: now) as scene:
        alice, bob = await scene.tab(), await scene.tab("bob")
        await scene.sink.until("subscribed", 2)
        await alice.hang_up()
        await scene.gone()
        publish(scene.clients, "1 ")
        await bob.hears("1 ")
        now = 101.0
        alice = await scene.tab()
        publish(scene.clients, "2 ")
        await alice.hears("2 ")
        assert len(scene.sink.of("subscribed")) == 3, "it is a newcomer"


# Those who lag behind


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_clients, "TRIM_BYTES", 100_000)
    monkeypatch.setattr(web_clients, "MAX_LAG_BYTES", 8_000_000)
    monkeypatch.setattr(web_clients, "MAX_KEPT_BYTES", 20_000_000)
    monkeypatch.setattr(web_clients, "MAX_BATCH_BYTES", 100_000)


@pytest.mark.usefixtures("small")
async def test_who_lags_too_far_is_closed_with_a_reason_and_gets_the_rest_later() -> None:
    lines = [f"{number:04} " + "x" * 3000 + "\n" for number in range(4000)]
    async with open_clients() as scene:
        slow, bob = await scene.tab(reads=False), await scene.tab("bob")
        await slow.say(CELL)
        await scene.sink.next("sent")
        for number, line in enumerate(lines):
            publish(scene.clients, line)
            if not number % 100:  # so that bob keeps up
                await bob.has(sum(map(len, lines[: number + 1])))
        await bob.hears(*lines)
        scene_nursery = scene._nursery
        scene_nursery.start_soon(slow.read)  # it wakes up
        await slow.closed.wait()
        assert slow.close_code == 1013
        assert slow.connection.closed is not None
        assert "connect again" in str(slow.connection.closed.reason)
        again = await scene.tab()
        await again.heard.until(lambda _: ends(again, lines))
        assert "".join(slow.texts()) + "".join(again.texts()) == "".join(lines)


@pytest.mark.usefixtures("small")
async def test_what_is_kept_has_a_bound_and_then_one_begins_anew() -> None:
    async with open_clients() as scene:
        alice = await scene.tab()
        await scene.sink.next("subscribed")
        await alice.hang_up()
        await scene.gone()
        for _ in range(30):
            publish(scene.clients, "x" * 1_000_000)
        assert scene.clients._backlog.bytes_from(scene.clients._backlog.first) < 20_000_000
        alice = await scene.tab()
        publish(scene.clients, "now")
        await alice.hears("now")
        assert len(scene.sink.of("subscribed")) == 2


# Over a restart of kmux


async def test_clients_are_hung_up_on_and_what_they_say_until_then_comes_in() -> None:
    async with open_clients() as scene:
        alice = await scene.tab()
        await scene.sink.next("subscribed")
        scene.clients.hush()
        await alice.say(CELL)
        scene.clients.hang_up()
        await alice.closed.wait()
        assert alice.close_code == 1012
        await eventually(lambda: not scene.clients.is_connected)
        await scene.sink.next("sent")
        assert not scene.sink.of("left"), "it is about to come back"


async def test_the_next_kmux_goes_on_where_this_one_ended() -> None:
    async with open_clients() as scene:
        alice, bob = await scene.tab(), await scene.tab("bob")
        await scene.sink.until("subscribed", 2)
        publish(scene.clients, "1 ")
        await alice.hears("1 ")
        await bob.hears("1 ")
        await alice.hang_up()
        await scene.gone(1)
        publish(scene.clients, "2 ")
        await bob.hears("1 ", "2 ")
        await bob.hang_up()
        await scene.gone(2)
        publish(scene.clients, "3 ")
        scene.clients.send(scene.whose("bob"), SHELL, reply(CELL, text="4 "))
        entries, places = scene.clients.missed()
        assert places == {scene.whose("alice"): 0, scene.whose("bob"): 1}
        sink = WebRecorder()
        sink.clients = WebClients(sink, TAG)
        sink.clients.resume(((e.channel, e.message, e.client) for e in entries), places)
        scene.sink.clients = sink.clients
        publish(sink.clients, "5 ")
        alice, bob = await scene.tab(), await scene.tab("bob")
        await alice.hears("2 ", "3 ", "5 ")
        await bob.hears("3 ", "4 ", "5 ")
        assert not sink.of("subscribed")
