"""One kmux after the other with the same kernel, as conversations: what was on its way arrives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import ClientId, Message
from proxy.session.carrying import Carried, Resumed, decode, encode
from proxy.session.commands import ToClient, ToKernel
from proxy.session.events import ClientLeft, KernelDied, KernelLaunched
from proxy.session.session import Session
from tests.messages import cell, message, published, reply, request, status
from tests.session.playbook import (
    CONTROL,
    EPOCH,
    SHELL,
    STDIN,
    Frontend,
    Playbook,
    answer_to,
    kernel,
    kernel_info,
    play,
    prompt_for,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")


def carried(playbook: Playbook) -> Carried:
    """What a file has when kmux is killed now."""
    return decode(encode(playbook.session.carried(playbook.now)))


def same(one: Message) -> Any:
    """A message by its bytes: it was written down and read since."""
    return (one.raw_header, one.raw_parent, one.raw_metadata, one.raw_content, one.buffers)


def goes_on(carried: Carried) -> tuple[Playbook, Message, Message]:
    """Another kmux finds the kernel. Returns also what it asks on shell and on control."""
    playbook = play(Session("kmux-2"))
    playbook.when(Resumed(at=0, carried=carried))
    playbook.when(KernelLaunched(at=0, interrupt_mode="message", found=True))
    asked = [c.message for c in playbook.of_kind(ToKernel) if c.channel is not CONTROL]
    on_control = question_of_control(playbook)
    return playbook, asked[0], on_control


def question_of_control(playbook: Playbook) -> Message:
    (question,) = [c.message for c in playbook.of_kind(ToKernel) if c.channel is CONTROL]
    return question


def is_heard(playbook: Playbook, on_control: Message, session: str = "kernel") -> Playbook:
    """The busy kernel says on control what it is."""
    told = reply(on_control, **kernel_info())
    told = msgspec.structs.replace(
        told,
        header=msgspec.structs.replace(told.header, session=session),
        raw_header=told.raw_header.replace(b'"kernel"', f'"{session}"'.encode()),
    )
    return playbook.when(
        kernel.publishes(status("busy", on_control)),
        kernel.publishes(status("idle", on_control)),
        kernel.answers(None, told, CONTROL),
    )


def to_the_kernel(playbook: Playbook) -> list[tuple[ClientId, Any]]:
    """The clients' messages that went to the kernel."""
    sent = [c for c in playbook.of_kind(ToKernel) if c.routing != (b"kmux",)]
    return [(ClientId(c.routing), same(c.message)) for c in sent]


def test_the_reply_of_a_running_cell_reaches_who_asked_and_the_queue_goes_on() -> None:
    first, second, third = cell("1"), cell("2"), cell("3")
    before = with_a_kernel().when(alice.sends(first), alice.sends(second), bob.sends(third))
    playbook, _, on_control = goes_on(carried(before))
    is_heard(playbook, on_control)
    assert to_the_kernel(playbook) == []
    answer = reply(first)
    playbook.when(kernel.answers(alice, answer))
    assert playbook.of_kind(ToClient) == [ToClient(alice.id, SHELL, answer)]
    assert to_the_kernel(playbook) == [(bob.id, same(third))]  # it is their turn


def test_a_reply_that_came_while_nobody_listened_is_said_to_be_lost() -> None:
    first, second = cell("1"), cell("2")
    before = with_a_kernel().when(alice.sends(first), alice.sends(second))
    playbook, on_shell, on_control = goes_on(carried(before))
    is_heard(playbook, on_control)
    playbook.when(kernel.answers(None, reply(on_shell, **kernel_info())))
    lost = [c for c in playbook.of_kind(ToClient) if c.client == alice.id]
    assert [(c.message.msg_type, c.message.content()["ename"]) for c in lost] == [
        ("execute_reply", "ReplyLost")
    ]
    assert to_the_kernel(playbook) == [(alice.id, same(second))]


def test_how_a_cell_went_is_told_where_iopub_has_told_it() -> None:
    good, bad = cell("1"), cell("1/0")
    failure = {"ename": "ZeroDivisionError", "evalue": "no", "traceback": ["there"]}
    for asked, told, expected in (
        (good, [], {"status": "ok", "execution_count": 7, "payload": [], "user_expressions": {}}),
        (
            bad,
            [published("error", bad, **failure)],
            {"status": "error", "execution_count": 7, **failure},
        ),
    ):
        before = with_a_kernel().when(alice.sends(asked))
        playbook, on_shell, on_control = goes_on(carried(before))
        is_heard(playbook, on_control)
        playbook.when(kernel.publishes(published("execute_input", asked, execution_count=7)))
        playbook.when(*map(kernel.publishes, told), kernel.publishes(status("idle", asked)))
        playbook.when(kernel.answers(None, reply(on_shell, **kernel_info())))
        (made_up,) = [c.message.content() for c in playbook.of_kind(ToClient)]
        assert made_up == expected


def test_what_is_no_cell_is_lost_as_well() -> None:
    asked = request("complete", code="pri", cursor_pos=3)
    before = with_a_kernel().when(alice.sends(asked))
    playbook, on_shell, _ = goes_on(carried(before))
    playbook.when(kernel.answers(None, reply(on_shell, **kernel_info())))
    (lost,) = playbook.of_kind(ToClient)
    assert (lost.message.msg_type, lost.message.content()["ename"]) == (
        "complete_reply",
        "ReplyLost",
    )


def test_a_cell_on_a_subshell_is_asked_after_there() -> None:
    on_it = message("execute_request", {"code": "1"}, subshell_id="s1")
    before = with_a_kernel().when(alice.sends(on_it))
    playbook = play(Session("kmux-2"))
    playbook.when(Resumed(at=0, carried=carried(before)))
    playbook.when(KernelLaunched(at=0, interrupt_mode="message", found=True))
    asked = [c.message for c in playbook.of_kind(ToKernel)]
    (there,) = [m for m in asked if m.header.subshell_id == "s1"]
    (here,) = [m for m in asked[:1] if m.header.subshell_id is None]
    playbook.when(kernel.answers(None, reply(here, **kernel_info())))
    assert not [c for c in playbook.of_kind(ToClient) if c.client == alice.id]
    playbook.when(kernel.answers(None, reply(there, **kernel_info())))
    (lost,) = [c for c in playbook.of_kind(ToClient) if c.client == alice.id]
    assert lost.message.content()["ename"] == "ReplyLost"


def test_kernel_info_is_known_before_the_kernel_is_heard() -> None:
    playbook, _, _ = goes_on(carried(with_a_kernel().when(alice.sends(cell("1")))))
    asked = request("kernel_info")
    playbook.when(bob.sends(asked))
    told = [c.message for c in playbook.of_kind(ToClient)]
    assert [m.content()["implementation"] for m in told] == ["ipython"]


def test_a_prompt_waits_for_its_frontend_and_its_answer_reaches_the_kernel() -> None:
    asking = cell("input()")
    prompt = prompt_for(asking)
    before = with_a_kernel().when(alice.returns(), alice.sends(asking))
    before.when(kernel.answers(alice, prompt, STDIN))
    playbook, _, on_control = goes_on(carried(before))
    is_heard(playbook, on_control)
    playbook.when(alice.returns())
    (again,) = playbook.of_kind(ToClient)
    assert again.channel is STDIN
    assert again.message.raw_metadata == prompt.raw_metadata + b" "
    answer = answer_to(prompt)
    playbook.when(alice.sends(answer))
    assert playbook.of_kind(ToKernel) == [ToKernel(STDIN, tuple(alice.id), answer)]


def test_a_reply_that_was_kept_for_a_frontend_that_is_away_is_still_kept() -> None:
    asked = cell("1")
    kept = reply(asked)
    before = with_a_kernel().when(alice.returns(), alice.sends(asked))
    before.when(kernel.answers(alice, kept), alice.does_not_get(kept))
    playbook, _, _ = goes_on(carried(before))
    playbook.when(alice.returns())
    assert [same(c.message) for c in playbook.of_kind(ToClient)] == [same(kept)]


def test_a_frontend_that_does_not_come_back_is_gone_a_day_after_it_was_last_there() -> None:
    before = with_a_kernel().when(alice.returns(), bob.returns())
    before.when(ClientLeft(at=0, client=bob.id)).after(3600)
    known = carried(before)
    assert dict(known.clients) == {alice.id: EPOCH + 3600, bob.id: EPOCH}
    playbook, _, _ = goes_on(known)
    clients = playbook.session.machines.clients
    assert clients.is_away(alice.id)
    assert clients.overdue(EPOCH + 24 * 3600) == [bob.id]


def test_another_kernel_on_the_same_ports_owes_nothing() -> None:
    first, second = cell("1"), cell("2")
    before = with_a_kernel().when(alice.sends(first), alice.sends(second))
    playbook, _, on_control = goes_on(carried(before))
    is_heard(playbook, on_control, session="another")
    replies = [c.message.content() for c in playbook.of_kind(ToClient)]
    assert [r["status"] for r in replies] == ["error"]
    assert replies[0]["ename"] == "KernelRestarted"
    # What waited was never another kernel's business: it runs there, as after any restart.
    assert to_the_kernel(playbook) == [(alice.id, same(second))]


def test_a_kernel_that_died_meanwhile_answers_everybody_by_its_end() -> None:
    first, second = cell("1"), cell("2")
    before = with_a_kernel().when(alice.sends(first), bob.sends(second))
    playbook = play(Session("kmux-2")).when(Resumed(at=0, carried=carried(before)))
    playbook.when(KernelDied(at=0, reason="the kernel exited with status 7", for_good=True))
    told = {c.client: c.message.content()["status"] for c in playbook.of_kind(ToClient)}
    assert told == {alice.id: "error", bob.id: "error"}
    assert playbook.session.execution_state == "dead"


def test_an_interrupted_cell_is_known_as_that() -> None:
    looping = cell("while True: pass")
    before = with_a_kernel().when(alice.sends(looping))
    before.when(kernel.publishes(status("busy", looping)), alice.sends(request("interrupt")))
    assert carried(before).interrupted == [looping.msg_id]


def test_the_subshells_that_were_lent_are_known() -> None:
    known = Carried(at=0, subshells=[])
    session = Session("kmux-1")
    session.machines.subshells.subshells.resumed("s1", [alice.id], ["slider"])
    lent = decode(encode(session.carried(0))).subshells
    again = Session("kmux-2")
    again.handle(Resumed(at=0, carried=msgspec.structs.replace(known, subshells=lent)))
    subshells = again.machines.subshells.subshells
    assert list(subshells.lent()) == [("s1", [alice.id], {"slider"})]


def test_nothing_that_is_over_is_carried() -> None:
    done = cell("1")
    before = with_a_kernel().when(alice.sends(done))
    before.when(kernel.answers(alice, reply(done)), kernel.publishes(status("idle", done)))
    known = carried(before)
    assert (known.asked, known.waiting, known.prompts, known.mailbox) == ([], [], [], [])


@given(st.binary(max_size=200))
def test_a_damaged_file_is_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(encode(Carried(at=0))[:-1] + b"\xc1" + raw)


def test_what_is_carried_twice_is_the_same() -> None:
    first, second, asking = cell("1"), cell("2"), request("inspect", code="x", cursor_pos=1)
    before = with_a_kernel().when(alice.returns(), alice.sends(first), alice.sends(second))
    before.when(bob.sends(asking))
    once = carried(before)
    again = play(Session("kmux-2")).when(Resumed(at=0, carried=once)).session.carried(once.at)
    assert decode(encode(again)) == once


def test_changes_are_counted_but_for_what_is_only_shown() -> None:
    playbook = with_a_kernel()
    before = playbook.session.changes
    playbook.when(kernel.publishes(status("busy")))
    assert playbook.session.changes == before
    playbook.when(alice.sends(cell()))
    assert playbook.session.changes > before
