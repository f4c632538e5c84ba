"""Subshells as conversations: a single client's is with the kernel, others are kept apart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proxy.message import Message
from proxy.session.commands import ToClient, ToKernel
from proxy.session.events import ClientLeft
from proxy.session.session import Session
from proxy.session.subshells import MAX_REAL
from tests.messages import as_json, message, reply, request, status
from tests.session.playbook import (
    CONTROL,
    SHELL,
    Frontend,
    Playbook,
    answered,
    asks_kernel,
    kernel,
    kernel_info,
    play,
    question_of,
    starts_timer,
    to_all,
    to_client,
    to_kernel,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")
passing = Frontend("passing", b"\x00\x01\x02\x03\x04")


def with_subshells() -> Playbook:
    """A kernel that has them, and two clients."""
    playbook = play(Session("kmux-1")).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    info = {**kernel_info(), "supported_features": ["kernel subshells"]}
    playbook.when(
        kernel.publishes(status("busy", question)),
        kernel.answers(None, reply(question, **info)),
        kernel.publishes(status("idle", question)),
    )
    return playbook.when(alice.returns(), bob.returns())


def ask(verb: str, **content: Any) -> Message:
    return request(f"{verb}_subshell", **content)


def creates(playbook: Playbook, client: Frontend, subshell_id: str) -> None:
    """The client asks for one, and the kernel makes it."""
    asked = ask("create")
    made = reply(asked, subshell_id=subshell_id)
    playbook.when(client.sends(asked, CONTROL)).expect(to_kernel(asked, client, CONTROL))
    playbook.when(kernel.answers(client, made, CONTROL)).expect(to_client(client, made, CONTROL))


def slider(subshell_id: str) -> Message:
    """The kernel opens a comm while a message on this subshell is its parent."""
    parent = message("execute_request", {}, subshell_id=subshell_id)
    content = {"comm_id": "1", "target_name": "jupyter.widget", "data": {"state": {}}}
    return message("comm_open", content, parent=parent, session="kernel")


def test_a_single_clients_conversation_is_with_the_kernel() -> None:
    playbook = with_subshells()
    creates(playbook, alice, "s")
    for asked in (ask("list"), ask("delete", subshell_id="s"), ask("delete", subshell_id="x")):
        playbook.when(alice.sends(asked, CONTROL)).expect(to_kernel(asked, alice, CONTROL))


def test_so_it_is_where_the_kernel_knows_no_subshells() -> None:
    """xeus-python does not answer."""
    asked = ask("create")
    with_a_kernel().when(alice.sends(asked, CONTROL)).expect(to_kernel(asked, alice, CONTROL))


def test_deleting_leaves_anothers_widget_alone() -> None:
    """ipykernel 7.4 would refuse alice's updates: its comm last published on bob's subshell."""
    playbook = with_subshells()
    creates(playbook, bob, "s")
    opened = slider("s")
    playbook.when(kernel.publishes(opened)).expect(to_all(opened))
    delete = ask("delete", subshell_id="s")
    playbook.when(bob.sends(delete, CONTROL)).expect(answered(bob, delete, CONTROL, status="ok"))
    moved = message("comm_msg", {"comm_id": "1", "data": {"method": "update", "state": {"v": 1}}})
    playbook.when(alice.sends(moved)).expect(to_kernel(moved, alice), starts_timer("echoes"))
    listed = ask("list")
    playbook.when(bob.sends(listed, CONTROL)).expect(
        answered(bob, listed, CONTROL, status="ok", subshell_id=[])
    )


def test_what_was_deleted_answers_as_the_kernel_would_though_it_is_kept() -> None:
    playbook = with_subshells()
    creates(playbook, bob, "s")
    playbook.when(kernel.publishes(slider("s")))
    playbook.when(bob.sends(ask("delete", subshell_id="s"), CONTROL))
    late = message("execute_request", {"code": "1"}, subshell_id="s")
    playbook.when(bob.sends(late)).expect(
        answered(
            bob,
            late,
            status="error",
            ename="UnknownSubshellError",
            evalue="Unknown subshell_id 's'",
        )
    )


def test_nobody_deletes_what_is_anothers() -> None:
    playbook = with_subshells()
    creates(playbook, alice, "s")
    delete = ask("delete", subshell_id="s")
    playbook.when(bob.sends(delete, CONTROL)).expect(
        answered(bob, delete, CONTROL, status="error", evalue="Unknown subshell_id 's'")
    )


def test_one_that_is_kept_goes_when_its_comm_does() -> None:
    playbook = with_subshells()
    creates(playbook, bob, "s")
    playbook.when(kernel.publishes(slider("s")))
    playbook.when(bob.sends(ask("delete", subshell_id="s"), CONTROL))
    closed = message("comm_close", {"comm_id": "1", "data": {}}, session="kernel")
    playbook.when(kernel.publishes(closed)).expect(
        to_all(closed), asks_kernel("delete_subshell_request", CONTROL, subshell_id="s")
    )


def test_what_a_passing_client_leaves_is_collected() -> None:
    playbook = with_subshells().when(passing.returns())
    creates(playbook, passing, "s")
    playbook.when(ClientLeft(at=0, client=passing.id)).expect(
        asks_kernel("delete_subshell_request", CONTROL, subshell_id="s")
    )


def test_when_many_ask_at_once_all_are_answered_with_few() -> None:
    playbook = with_subshells()
    clients = [Frontend(f"lab{number}") for number in range(30)]
    asked = [ask("create") for _ in clients]
    playbook.when(*[c.sends(m, CONTROL) for c, m in zip(clients, asked, strict=True)])
    forwarded = [command.message for command in playbook.of_kind(ToKernel)]
    assert forwarded == asked[:MAX_REAL]
    replies = [
        kernel.answers(clients[at], reply(m, subshell_id=f"s{at}"), CONTROL)
        for at, m in enumerate(forwarded)
    ]
    playbook.when(*replies)
    given = {c.client: as_json(c.message.raw_content) for c in playbook.of_kind(ToClient)}
    assert {client.id for client in clients} == set(given)
    assert {answer["subshell_id"] for answer in given.values()} == {
        f"s{at}" for at in range(MAX_REAL)
    }


def test_with_the_kernel_those_that_wait_are_answered() -> None:
    playbook = with_subshells()
    asked = [ask("create") for _ in range(MAX_REAL + 1)]
    playbook.when(*[alice.sends(m, CONTROL) for m in asked])
    playbook.when(kernel.dies())
    answered_ = [c.message.parent for c in playbook.of_kind(ToClient)]
    assert {p.msg_id for p in answered_ if p} == {m.msg_id for m in asked}


def test_on_shell_such_a_request_is_the_kernels() -> None:
    asked = ask("create")
    with_subshells().when(alice.sends(asked, SHELL)).expect(to_kernel(asked, alice, SHELL))
    odd = msgspec.structs.replace(ask("delete"), raw_content=b"[]")
    with_subshells().when(alice.sends(odd, CONTROL)).expect(to_kernel(odd, alice, CONTROL))


@pytest.mark.parametrize("msg_type", ["execute", "kernel_info", "comm_info", "complete"])
def test_requests_for_a_subshell_that_never_was_are_the_kernels_to_answer(msg_type: str) -> None:
    """Each of them: an error of one cell aborts none of the others there."""
    asked = [message(f"{msg_type}_request", {}, subshell_id="none-such") for _ in range(2)]
    playbook = with_subshells().when(alice.sends(asked[0])).expect(to_kernel(asked[0], alice))
    playbook.when(alice.sends(asked[1])).expect(to_kernel(asked[1], alice))
    error = reply(asked[0], status="error", ename="UnknownSubshellError")
    playbook.when(kernel.answers(alice, error)).expect(to_client(alice, error))
