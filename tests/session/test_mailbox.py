"""Messages for who is away: kept in order, bounded, tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import Channel, ClientId
from proxy.session import mailbox as module
from proxy.session.commands import Log, StartTimer, ToClient
from proxy.session.mailbox import MAX_KEPT, RETRY_SECONDS, RETRY_TIMER, Mailbox
from tests.messages import cell, reply

ALICE, BOB = ClientId((b"zmq", b"alice")), ClientId((b"zmq", b"bob"))
AUTOMATIC = ClientId((b"zmq", b"\x00\x01\x02\x03\x04"))
BEHIND_ANOTHER_KMUX = ClientId((b"zmq", b"\x00\x01\x02\x03\x04", b"zmq", b"alice"))
SHELL, STDIN = Channel.SHELL, Channel.STDIN
TIMER = StartTimer(RETRY_TIMER, RETRY_SECONDS)


def test_what_is_kept_is_delivered_in_order_and_once() -> None:
    mailbox = Mailbox()
    first, second, other = (reply(cell()) for _ in range(3))
    mailbox.keep(ALICE, SHELL, first)
    mailbox.keep(BOB, SHELL, other)
    mailbox.keep(ALICE, STDIN, second)
    assert mailbox.deliver(ALICE) == [ToClient(ALICE, SHELL, first), ToClient(ALICE, STDIN, second)]
    assert mailbox.deliver(ALICE) == []
    assert len(mailbox) == 1


def test_one_timer_runs_while_anything_is_kept() -> None:
    mailbox = Mailbox()
    assert mailbox.keep(ALICE, SHELL, reply(cell())) == [TIMER]
    assert mailbox.keep(BOB, SHELL, reply(cell())) == []
    assert {command.client for command in mailbox.retry() if isinstance(command, ToClient)} == {
        ALICE,
        BOB,
    }
    assert len(mailbox) == 0
    assert mailbox.keep(ALICE, SHELL, reply(cell())) == [TIMER]


def test_who_can_not_come_back_has_no_mailbox() -> None:
    mailbox = Mailbox()
    (dropped,) = mailbox.keep(AUTOMATIC, SHELL, reply(cell()))
    assert isinstance(dropped, Log)
    assert (dropped.event, dropped.level) == ("message.undeliverable", "warning")
    assert len(mailbox) == 0


def test_the_bound_is_for_all_together_and_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    mailbox = Mailbox()
    kept = [reply(cell()) for _ in range(5)]
    for number, message in enumerate(kept):
        commands = mailbox.keep((ALICE, BOB)[number % 2], SHELL, message)
        dropped = [c for c in commands if isinstance(c, Log)]
        assert len(dropped) == (number >= 3)
    assert len(mailbox) == 3
    left = [c.message for c in mailbox.retry() if isinstance(c, ToClient)]
    assert kept[4] in left, "the newest stays"
    assert kept[0] not in left, "the oldest goes first"


def test_the_bound_is_some_thousand() -> None:
    mailbox = Mailbox()
    message = reply(cell())
    for _ in range(MAX_KEPT + 50):
        mailbox.keep(ALICE, SHELL, message)
    assert len(mailbox) == MAX_KEPT == len(mailbox.deliver(ALICE))


def test_what_became_pointless_is_withdrawn() -> None:
    mailbox = Mailbox()
    prompt, answer = reply(cell()), reply(cell())
    mailbox.keep(ALICE, STDIN, prompt)
    mailbox.keep(ALICE, SHELL, answer)
    mailbox.keep(BOB, STDIN, prompt)
    mailbox.withdraw(prompt.msg_id)
    assert len(mailbox) == 1
    assert mailbox.retry() == [ToClient(ALICE, SHELL, answer)]
    mailbox.withdraw(answer.msg_id)


@given(
    actions=st.lists(
        st.tuples(st.sampled_from(["keep", "deliver", "retry"]), st.sampled_from([ALICE, BOB])),
        max_size=40,
    )
)
def test_nothing_is_lost_or_doubled_and_the_timer_runs(
    actions: list[tuple[str, ClientId]],
) -> None:
    mailbox = Mailbox()
    waiting: dict[ClientId, list[int]] = {ALICE: [], BOB: []}
    timer_runs = False
    for number, (what, client) in enumerate(actions):
        if what == "keep":
            message = reply(cell(), number=number)
            timer_runs |= mailbox.keep(client, SHELL, message) == [TIMER]
            waiting[client].append(number)
        else:
            commands = mailbox.deliver(client) if what == "deliver" else mailbox.retry()
            timer_runs &= what == "deliver"
            for address in (client,) if what == "deliver" else (ALICE, BOB):
                sent = [
                    c.message.content()["number"]
                    for c in commands
                    if isinstance(c, ToClient) and c.client == address
                ]
                assert sent == waiting[address]
                waiting[address] = []
        assert len(mailbox) == sum(map(len, waiting.values()))
        assert timer_runs or len(mailbox) == 0, "what is kept would wait for ever"
