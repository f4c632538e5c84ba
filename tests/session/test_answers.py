"""Answers that the kernel never gave: what goes around them."""

from __future__ import annotations

import msgspec
import pytest

from proxy.message import Channel, ClientId, Message
from proxy.session.answers import Answers, error
from proxy.session.commands import Command, Log, ToAll, ToClient
from proxy.session.composer import Composer
from proxy.session.events import ClientSent
from proxy.session.requests import Request
from proxy.session.status import KernelStatus
from tests.messages import as_json, cell, message, request, status

ALICE = ClientId((b"zmq", b"alice"))
SHELL = Channel.SHELL


class Scene:
    """Answers about a kernel in some state."""

    def __init__(self, state: str = "idle", busy_with: Message | None = None) -> None:
        self.kernel = KernelStatus()
        if busy_with is not None:
            self.kernel.observe(status("busy", busy_with))
        self.answers = Answers(Composer("kmux"), self.kernel, lambda: state)

    def sent(self, message: Message) -> ClientSent:
        return ClientSent(at=1.8e9, client=ALICE, channel=SHELL, message=message)


def told(commands: list[Command]) -> list[tuple[str, str | None]]:
    """Statuses and replies in short: what, and whose."""
    short = []
    for command in commands:
        assert isinstance(command, ToAll | ToClient)
        what = command.message.msg_type
        if isinstance(command, ToAll):
            what = as_json(command.message.raw_content)["execution_state"]
        parent = command.message.parent
        short.append((what, parent.msg_id if parent else None))
    return short


def test_an_answer_stands_between_busy_and_idle() -> None:
    asked = request("complete", "1")
    commands = Scene().answers.reply_to(Scene().sent(asked), {"matches": []})
    assert told(commands) == [("busy", "1"), ("complete_reply", "1"), ("idle", "1")]


@pytest.mark.parametrize("state", ["busy", "starting", "dead"])
def test_the_true_status_follows_it_unless_that_is_idle(state: str) -> None:
    running = cell(msg_id="running")
    scene = Scene(state, running if state == "busy" else None)
    commands = scene.answers.reply_to(scene.sent(request("complete", "1")), {})
    assert told(commands)[-2:] == [("idle", "1"), (state, "running" if state == "busy" else None)]


def test_a_restart_is_not_told_again() -> None:
    """JupyterLab connects anew whenever it hears of one, and would never be done."""
    scene = Scene("restarting")
    commands = scene.answers.reply_to(scene.sent(request("complete", "1")), {})
    assert told(commands)[-1] == ("starting", None)


def test_a_refusal_is_an_error_reply_and_what_expects_none_is_logged() -> None:
    scene = Scene()
    commands = scene.answers.refuse(scene.sent(cell(msg_id="1")), "KernelDied", "it is gone")
    assert isinstance(commands[1], ToClient)
    assert (
        commands[1].message.content()
        == error("KernelDied", "it is gone")
        == {
            "status": "error",
            "ename": "KernelDied",
            "evalue": "it is gone",
            "traceback": [],
        }
    )
    (log,) = scene.answers.refuse(scene.sent(message("comm_msg")), "KernelDied", "it is gone")
    assert isinstance(log, Log)


def outstanding(asked: Message, *, idled: bool = False) -> Request:
    entry = Request(ALICE, SHELL, asked.origin)
    entry.idled = idled
    return entry


def test_what_was_taken_up_gets_its_idle_and_what_was_not_its_busy_too() -> None:
    running, waiting, idled = cell(msg_id="1"), cell(msg_id="2"), cell(msg_id="3")
    scene = Scene("busy", running)
    content = error("KernelDied", "it is gone")

    def give_up(entry: Request) -> list[tuple[str, str | None]]:
        return told(scene.answers.give_up(entry, content, 1.8e9))

    assert give_up(outstanding(running)) == [("execute_reply", "1"), ("idle", "1")]
    assert give_up(outstanding(waiting)) == [("busy", "2"), ("execute_reply", "2"), ("idle", "2")]
    assert give_up(outstanding(idled, idled=True)) == [("execute_reply", "3")]


def statuses(scene: Scene, waiting: list[Request]) -> list[tuple[str, dict[str, object]]]:
    commands = scene.answers.abandon(waiting, "KernelDied", "it is gone", 1.8e9)
    return [
        (c.message.content()["status"], c.message.metadata())
        for c in commands
        if isinstance(c, ToClient)
    ]


def test_the_cell_that_ran_fails_and_those_behind_it_are_aborted() -> None:
    first, second, asked = cell(), cell(), request("complete")
    scene = Scene("busy", first)
    assert statuses(scene, [outstanding(m) for m in (first, asked, second)]) == [
        ("error", {"status": "error"}),
        ("error", {"status": "error"}),
        ("aborted", {"status": "aborted"}),
    ]


def test_the_first_one_ran_also_where_its_busy_was_lost() -> None:
    scene = Scene()
    found = statuses(
        scene, [outstanding(request("complete")), outstanding(cell()), outstanding(cell())]
    )
    assert [status for status, _ in found] == ["error", "error", "aborted"]


def test_one_that_had_its_idle_ran_as_well() -> None:
    scene = Scene()
    found = statuses(scene, [outstanding(cell(), idled=True), outstanding(cell(), idled=True)])
    assert [status for status, _ in found] == ["error", "error"]


def test_aborted_has_no_execution_count() -> None:
    """As ipykernel's: ``{"status": "aborted"}`` and nothing else."""
    scene = Scene()
    commands = scene.answers.abandon([outstanding(cell()), outstanding(cell())], "x", "y", 1.8e9)
    replies = [c.message for c in commands if isinstance(c, ToClient)]
    assert msgspec.json.decode(replies[1].raw_content) == {"status": "aborted"}
