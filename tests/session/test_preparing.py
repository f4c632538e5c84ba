"""A kernel's environment is made before it starts: what those who wait are told, and when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proxy.message import Message
from proxy.session.commands import ToAll, ToClient, ToKernel
from proxy.session.events import KernelPreparing
from proxy.session.preparing import MAX_LINES, STAND_IN_TIMER
from proxy.session.session import Session
from tests.messages import cell, request
from tests.session.playbook import (
    Frontend,
    Pattern,
    Playbook,
    answered,
    fires,
    kernel,
    launch,
    made_up,
    play,
    starts_timer,
    to_kernel,
    true_status,
)

alice, bob = Frontend("alice"), Frontend("bob")


def preparing(line: str, language: str = "python") -> KernelPreparing:
    return KernelPreparing(at=0, line=line, language=language)


def shows(msg_type: str, parent: Message, **content: Any) -> Pattern:
    """Something appears in a cell's output."""
    return Pattern(
        f"to all: {msg_type} {content} in {parent.msg_id}",
        lambda c: isinstance(c, ToAll) and made_up(c.message, msg_type, content, parent),
        ToAll,
    )


def says(line: str, parent: Message) -> Pattern:
    return shows("stream", parent, name="stderr", text=f"kmux: {line}\n")


def a_start() -> Playbook:
    return play(Session("kmux-1"))


def test_the_first_cell_of_each_client_shows_what_is_done_until_the_kernel_is_there() -> None:
    first, second, other = cell(), cell(), cell()
    playbook = a_start().when(alice.sends(first), alice.sends(second)).expect()
    playbook.when(preparing("solving")).expect(starts_timer(STAND_IN_TIMER), says("solving", first))
    playbook.when(bob.sends(other)).expect(says("solving", other))
    playbook.when(preparing("installing 3 packages")).expect(
        says("installing 3 packages", first), says("installing 3 packages", other)
    )
    launch(playbook)
    said = [c for c in playbook.done if isinstance(c, (ToAll, ToKernel)) and is_about_cells(c)]
    playbook.done = said
    playbook.expect(
        shows("clear_output", first, wait=False),
        shows("clear_output", other, wait=False),
        to_kernel(first, from_=alice),
    )


def is_about_cells(command: ToAll | ToKernel) -> bool:
    return command.message.msg_type in ("clear_output", "stream", "execute_request")


def test_a_line_is_told_once_and_there_is_a_bound() -> None:
    asked = cell()
    playbook = a_start().when(alice.sends(asked), preparing("solving"), preparing("solving"))
    assert len(playbook.of_kind(ToAll)) == 1
    playbook.when(*[preparing(f"downloading {number}") for number in range(2 * MAX_LINES)])
    assert len(playbook.of_kind(ToAll)) == MAX_LINES - 1


def test_a_silent_cell_shows_nothing_and_nothing_is_cleared() -> None:
    silent = request("execute", code="1", silent=True)
    a_start().when(alice.sends(silent), preparing("solving")).expect(starts_timer(STAND_IN_TIMER))


def test_who_has_waited_long_for_kernel_info_is_answered_without_a_kernel() -> None:
    asked, later = request("kernel_info"), request("kernel_info")
    playbook = a_start().when(preparing("solving"), alice.sends(asked))
    playbook.expect(starts_timer(STAND_IN_TIMER))
    playbook.when(fires(STAND_IN_TIMER)).expect(
        answered(alice, asked, status="ok", implementation="kmux"), true_status("starting")
    )
    playbook.when(bob.sends(later)).expect(
        answered(bob, later, implementation="kmux"), true_status("starting")
    )
    launch(playbook).when(alice.sends(again := request("kernel_info"))).expect(
        answered(alice, again, implementation="ipython")
    )


@pytest.mark.parametrize(
    ("language", "features"),
    [
        ("python", {"debugger": True, "supported_features": ["kernel subshells", "debugger"]}),
        ("typescript", {"debugger": None, "supported_features": None}),
    ],
)
def test_the_answer_says_what_the_kernel_can_do(language: str, features: dict[str, object]) -> None:
    asked = request("kernel_info")
    playbook = a_start().when(preparing("solving", language), alice.sends(asked))
    playbook.when(fires(STAND_IN_TIMER))
    (reply,) = playbook.of_kind(ToClient)
    content = msgspec.json.decode(reply.message.raw_content)
    assert {name: content.get(name) for name in features} == features


def test_a_language_that_is_not_known_has_no_stand_in() -> None:
    asked = request("kernel_info")
    playbook = a_start().when(preparing("solving", "klingon"), alice.sends(asked))
    playbook.when(fires(STAND_IN_TIMER)).expect()


def test_a_kernel_that_cannot_be_prepared_is_dead_and_what_was_shown_is_taken_away() -> None:
    asked = cell()
    playbook = a_start().when(alice.sends(asked), preparing("solving"))
    died = kernel.dies("uv: six==99 cannot be had")
    playbook.when(type(died)(at=0, reason=died.reason, for_good=True)).expect(
        shows("clear_output", asked, wait=False),
        answered(alice, asked, status="error", evalue=died.reason),
        true_status("dead"),
        true_status("dead"),
    )
    playbook.when(fires(STAND_IN_TIMER)).expect()


def test_what_is_told_of_a_kernel_that_runs_is_nobodys_business() -> None:
    launch(a_start()).when(preparing("solving")).expect()
