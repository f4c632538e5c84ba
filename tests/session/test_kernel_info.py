"""kernel_info is answered from the record, whatever the kernel is doing."""

from __future__ import annotations

import json

import msgspec
import pytest

from proxy.session.commands import ToAll, ToClient
from proxy.session.events import RestartRequested
from proxy.session.kernel_info import INTERRUPT_BY_MESSAGE, KernelInfo
from proxy.session.session import Session
from tests.messages import cell, reply, request, status
from tests.session.playbook import (
    CONTROL,
    Frontend,
    answered,
    kernel,
    kernel_info,
    launch,
    play,
    question_of,
    says_status,
    starts_timer,
    to_all,
    true_status,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")


def test_an_idle_kernels_word_is_given_with_busy_and_idle_around_it() -> None:
    asked = request("kernel_info")
    with_a_kernel().when(alice.sends(asked)).expect(answered(alice, asked, **kernel_info()))


def test_it_is_given_on_the_channel_on_which_it_was_asked_for() -> None:
    """ipykernel answers kernel_info on control as well, and frontends ask there when it is busy."""
    asked = request("kernel_info")
    with_a_kernel().when(alice.sends(asked, CONTROL)).expect(
        answered(alice, asked, on=CONTROL, **kernel_info())
    )


def test_a_busy_kernels_is_given_at_once_and_the_true_status_after_it() -> None:
    """JupyterLab shows the last status, whosever it is."""
    running, asked = cell("while True: pass"), request("kernel_info")
    playbook = with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(asked)).expect(
        answered(bob, asked, **kernel_info()), says_status("busy", running)
    )
    idle = status("idle", running)
    playbook.when(kernel.publishes(idle)).expect(to_all(idle), starts_timer("queue"))


def test_content_and_metadata_are_the_kernels_byte_for_byte() -> None:
    raw, metadata = b'{ "status":"ok",\n "banner" : "\\u03c0" }', b'{"started": "2026"}'
    playbook = play(Session("kmux-1")).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    answer = msgspec.structs.replace(reply(question), raw_content=raw, raw_metadata=metadata)
    playbook.when(kernel.publishes(status("busy", question)), kernel.answers(None, answer))
    (told,) = playbook.when(alice.sends(request("kernel_info"))).of_kind(ToClient)
    assert (told.message.raw_content, told.message.raw_metadata) == (raw, metadata)


def test_who_asks_before_it_is_known_waits_for_it_and_the_kernel_is_asked_once() -> None:
    first, second = request("kernel_info"), request("kernel_info")
    playbook = play(Session("kmux-1")).when(alice.sends(first)).expect()
    playbook.when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    playbook.when(bob.sends(second)).expect()
    busy = status("busy", question)
    playbook.when(
        kernel.publishes(busy), kernel.answers(None, reply(question, **kernel_info()))
    ).expect(
        to_all(busy),
        answered(alice, first, **kernel_info()),
        says_status("busy", question),
        answered(bob, second, **kernel_info()),
        says_status("busy", question),
    )


def test_while_a_kernel_restarts_the_last_ones_word_stands() -> None:
    asked, again = request("kernel_info"), request("kernel_info")
    playbook = with_a_kernel().when(RestartRequested(at=0)).when(alice.sends(asked))
    playbook.expect(answered(alice, asked, **kernel_info()), true_status("starting"))
    launch(playbook, implementation="another")
    playbook.when(bob.sends(again)).expect(answered(bob, again, **kernel_info("another")))


def test_a_cell_held_and_kernel_info_asked_keep_their_order_for_each_client() -> None:
    """Who asks for kernel_info and then runs a cell sees them answered in that order."""
    asked, ran = request("kernel_info"), cell()
    playbook = play(Session("kmux-1")).when(alice.sends(asked), alice.sends(ran))
    launch(playbook)
    kinds = [
        c.message.msg_type
        for c in playbook.done
        if not isinstance(c, ToAll) and hasattr(c, "message")
    ]
    assert kinds == ["kernel_info_reply", "execute_request"]


@pytest.mark.parametrize("implementation", sorted(INTERRUPT_BY_MESSAGE))
def test_some_kernels_must_not_be_signalled(implementation: str) -> None:
    info = KernelInfo()
    assert not info.interrupts_by_message
    info.learn(reply(request("kernel_info"), **kernel_info(implementation)))
    assert info.interrupts_by_message
    info.learn(reply(request("kernel_info"), **kernel_info("ipython")))
    assert not info.interrupts_by_message


@pytest.mark.parametrize("raw", [b"null", b"[]", b'{"implementation": 7}', b"nonsense"])
def test_an_odd_answer_is_passed_on_as_it_is(raw: bytes) -> None:
    info = KernelInfo()
    info.learn(msgspec.structs.replace(reply(request("kernel_info")), raw_content=raw))
    assert info.content == raw
    assert not info.interrupts_by_message


def test_the_record_outlives_the_frame_that_it_came_in() -> None:
    """Large frames are views of libzmq's memory."""
    raw = bytearray(json.dumps(kernel_info()).encode())
    info = KernelInfo()
    info.learn(msgspec.structs.replace(reply(request("kernel_info")), raw_content=memoryview(raw)))
    raw[:] = bytes(len(raw))
    assert info.content == json.dumps(kernel_info()).encode()
