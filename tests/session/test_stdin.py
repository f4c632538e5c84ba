"""Prompts: who is asked, whose answer counts. The conversations are in test_session.py."""

from __future__ import annotations

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session.commands import ToClient
from proxy.session.stdin import Prompts
from tests.messages import cell
from tests.session.playbook import prompt_for

ALICE, BOB = ClientId((b"zmq", b"alice")), ClientId((b"zmq", b"bob"))


def asked(prompts: Prompts, client: ClientId) -> tuple[Message, Message]:
    running = cell()
    prompt = prompt_for(running)
    assert prompts.ask(client, prompt) == [ToClient(client, Channel.STDIN, prompt)]
    return running, prompt


def asked_again(prompts: Prompts, client: ClientId, *kept: Message) -> list[MsgId]:
    """The ids of the prompts that a client that is back gets."""
    again = prompts.ask_again(client, lambda message: message in kept)
    assert all((c.client, c.channel) == (client, Channel.STDIN) for c in again)
    return [c.message.msg_id for c in again]


def test_an_answer_counts_once_and_only_from_who_was_asked() -> None:
    prompts = Prompts()
    asked(prompts, ALICE)
    assert not prompts.answer(BOB, None)
    assert prompts.answer(ALICE, None)
    assert not prompts.answer(ALICE, None)
    assert len(prompts) == 0


def test_each_of_two_that_were_asked_answers_its_own() -> None:
    """Two subshells: two cells may wait for input at once."""
    prompts = Prompts()
    asked(prompts, ALICE)
    asked(prompts, BOB)
    assert prompts.answer(BOB, None)
    assert not prompts.answer(BOB, None)
    assert prompts.answer(ALICE, None)


def test_a_cells_new_prompt_takes_the_place_of_its_last() -> None:
    prompts = Prompts()
    running, _ = asked(prompts, ALICE)
    second = prompt_for(running)
    prompts.ask(ALICE, second)
    assert asked_again(prompts, ALICE) == [second.msg_id]
    assert len(prompts) == 1


def test_only_who_was_asked_is_asked_again() -> None:
    prompts = Prompts()
    _, prompt = asked(prompts, ALICE)
    assert asked_again(prompts, BOB) == []
    assert asked_again(prompts, ALICE) == [prompt.msg_id]
    assert prompts.answer(ALICE, None)
    assert asked_again(prompts, ALICE) == []


def test_one_that_is_kept_for_it_is_not_sent_twice() -> None:
    prompts = Prompts()
    _, first = asked(prompts, ALICE)
    _, second = asked(prompts, ALICE)
    assert asked_again(prompts, ALICE, first) == [second.msg_id]


def test_each_time_it_is_signed_anew() -> None:
    """jupyter_client (8.10) refuses a message whose signature it has seen."""
    prompts = Prompts()
    running, prompt = asked(prompts, ALICE)
    seen = [prompt]
    for _ in range(3):
        (command,) = prompts.ask_again(ALICE, lambda message: False)
        seen.append(command.message)
    assert len({bytes(message.raw_metadata) for message in seen}) == 4
    assert [message.metadata() for message in seen] == [prompt.metadata()] * 4
    assert {message.raw_content for message in seen} == {prompt.raw_content}
    assert prompts.close(running.msg_id) is seen[-1]


def test_a_cell_that_is_done_closes_its_prompt_and_no_other() -> None:
    prompts = Prompts()
    running, prompt = asked(prompts, ALICE)
    other, _ = asked(prompts, BOB)
    assert prompts.close(running.msg_id) is prompt
    assert prompts.close(running.msg_id) is None
    assert prompts.close(MsgId("unknown")) is None
    assert not prompts.answer(ALICE, None)
    assert prompts.answer(BOB, None)
    assert prompts.close(other.msg_id) is None


def test_with_the_kernel_all_prompts_go() -> None:
    prompts = Prompts()
    _, prompt = asked(prompts, ALICE)
    assert prompts.close_all() == [prompt]
    assert not prompts.answer(ALICE, None)
    assert asked_again(prompts, ALICE) == []
