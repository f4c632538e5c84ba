"""What the execution queue makes the session say: sends, aborted replies, timers.

``executions.py`` decides whose turn it is; here that becomes commands.
"""

from __future__ import annotations

from typing import Any

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session.answers import Answers, error
from proxy.session.asker import Asker
from proxy.session.commands import Command, Log, StartTimer, ToKernel
from proxy.session.diary import Diary
from proxy.session.events import ClientSent
from proxy.session.executions import LOST_SECONDS, Executions
from proxy.session.facts import CellEnded, CellQueued, CellSent
from proxy.session.requests import Request, Requests
from proxy.session.shell_queue import NOTHING, End, Execution, Step
from proxy.session.status import KernelStatus

TIMER = "queue"
STALL_TIMER = "stall"
STALL_SECONDS = 3.0
"""How long, at least, a cell may be with the kernel, not taken up, while others wait for it."""
TOO_MANY = ("TooManyRequests", "too many requests wait for the kernel already; try again later")
MAX_WAITING = 10_000
"""Messages of one client; another one still finds room."""


class Queue:
    """The way of a request to the kernel, and what its end sets going."""

    def __init__(
        self,
        requests: Requests,
        answers: Answers,
        asker: Asker,
        status: KernelStatus,
        diary: Diary,
    ) -> None:
        self.executions = Executions()
        self._requests = requests
        self._answers = answers
        self._asker = asker
        self._status = status
        self._diary = diary
        self._watched: tuple[list[Execution], list[Execution]] = ([], [])
        """Those that the timer finds when it runs out, and those that came since it was set."""
        self._stall_timer_runs = False
        self._suspects: list[Execution] = []
        """Cells that stood in others' way when the stall timer ran out last."""
        self._probes: dict[MsgId, Execution] = {}
        """What the kernel was asked behind a cell that it does not take up."""

    def has_room(self, event: ClientSent) -> bool:
        """Whether this request can be taken."""
        if self._requests.full:
            return False
        waits = event.channel is Channel.SHELL and self.executions.waiting(event.client)
        return waits < MAX_WAITING

    def submit(self, event: ClientSent) -> list[Command]:
        """A client's request: to the kernel, or behind what has its turn before."""
        if event.channel is not Channel.SHELL:
            return self._send([event], event.at)
        if event.message.header.msg_type == "execute_request":
            self._diary.note(CellQueued(at=event.at, client=event.client, message=event.message))
        sent = self.executions.submit(event)
        return self._send(sent, event.at) if sent else self._watch_for_stall()

    def pass_by(self, event: ClientSent) -> list[Command]:
        """A request that the kernel answers without taking it up: ahead of all that waits."""
        if self._requests.full:
            return self._answers.refuse(event, *TOO_MANY)
        return self._send([event], event.at)

    def replied(self, request: Request, reply: Message, at: float) -> tuple[bool, list[Command]]:
        """The kernel answered. Returns whether its reply is to pass, and what follows it."""
        if request.origin.header.msg_type != "execute_request":
            return True, []
        step = self.executions.replied(request.client, reply)
        return not step.sent_again, self._carry_out(step, at)

    def idled(self, idle: Message, at: float) -> list[Command]:
        """The kernel is done with a request."""
        return self._carry_out(self.executions.idled(idle), at)

    def overdue(self, at: float) -> list[Command]:
        """The timer ran out: what was watched when it was set has had its time."""
        old, young = self._watched
        self._watched = (young, [])
        commands: list[Command] = [StartTimer(TIMER, LOST_SECONDS)] if young else []
        for execution in old:
            commands += self._over(execution, at)
        return commands

    def _watch_for_stall(self) -> list[Command]:
        if self._stall_timer_runs:
            return []
        self._stall_timer_runs = True
        return [StartTimer(STALL_TIMER, STALL_SECONDS)]

    def stalled(self, at: float) -> list[Command]:
        """The timer ran out: is there a cell that others wait for, and that the kernel dropped?

        ipykernel drops what it cannot read (a header without a version) without any status. What
        the kernel is asked behind such a cell tells: it is taken up first.
        """
        suspects = [e for e in self.executions.in_the_way() if not self._is_taken_up(e)]
        commands: list[Command] = []
        for execution in suspects:
            if execution in self._suspects and execution not in self._probes.values():
                subshell_id = execution.event.message.header.subshell_id
                ask = self._asker.ask(
                    Channel.SHELL, "kernel_info_request", {}, at, subshell_id=subshell_id
                )
                self._probes[ask.message.header.msg_id] = execution
                commands.append(ask)
        self._suspects = suspects
        self._stall_timer_runs = False
        return commands + (self._watch_for_stall() if len(self.executions) else [])

    def probed(self, msg_id: MsgId, at: float) -> list[Command]:
        """The kernel is done with something that kmux asked: perhaps behind a cell."""
        execution = self._probes.pop(msg_id, None)
        if execution is None or self._is_taken_up(execution):
            return []
        return self._over(execution, at)

    def _is_taken_up(self, execution: Execution) -> bool:
        return execution.idled or self._status.is_busy_with(execution.msg_id)

    def _over(self, execution: Execution, at: float) -> list[Command]:
        """This cell has had its time."""
        step = self.executions.overdue(execution)
        lost = self._lost(execution.event, at) if execution.end is End.LOST else []
        return lost + self._carry_out(step, at)

    def _lost(self, event: ClientSent, at: float) -> list[Command]:
        request = self._requests.open_of(event.client, event.message.header.msg_id)
        if request is None or not self._requests.give_up(request):
            return []
        content = error("ReplyLost", "the kernel did not answer this cell, and is done with it")
        return self._answers.give_up(request, content, at)

    def lost(self, request: Request, content: dict[str, Any], at: float) -> list[Command]:
        """The kernel's reply to this request will not come any more: answer with ``content``."""
        if not self._requests.give_up(request):
            return []
        commands = self._answers.give_up(request, content, at)
        msg_id = request.origin.header.msg_id
        for execution in tuple(self.executions.with_the_kernel()):
            if (execution.event.client, execution.msg_id) == (request.client, msg_id):
                commands += self._carry_out(self.executions.overdue(execution), at)
        return commands

    def cancel(self, client: ClientId, msg_id: MsgId, at: float) -> list[Command]:
        """A client wants a cell that waits not to run."""
        return self._carry_out(self.executions.cancel(client, msg_id), at)

    def drop(self, client: ClientId, at: float) -> list[Command]:
        """A client left for good: what it had waiting does not run."""
        step = self.executions.drop(client)
        ends = self._note_ends(step, at)
        if not step.aborted:
            return ends
        log = Log("queue.dropped", {"client": client, "cells": len(step.aborted)})
        commands = [*self._answers.abort(_events(step.aborted)), *self._send(step.sent, at)]
        return [*commands, *ends, log]

    def abandon(
        self, ename: str, evalue: str, at: float, passed_over: set[ClientId]
    ) -> list[Command]:
        """The kernel is gone, and what waited for it is not for its successor."""
        step = self.executions.abandon()
        commands = self._note_ends(step, at)
        self._watched = ([], [])
        self._suspects.clear()
        self._probes.clear()
        for execution in step.aborted:
            if execution.event.client not in passed_over:
                commands += self._answers.aborted(execution.event)
        for event in step.sent:
            if event.client not in passed_over:
                commands += self._answers.refused(event, ename, evalue)
        return commands

    def _note_ends(self, step: Step, at: float) -> list[Command]:
        """Tell of the cells that are over: one line of the log for each."""
        logs: list[Command] = []
        for execution in (*step.completed, *step.aborted):
            assert execution.end is not None
            client, end = execution.event.client, str(execution.end)
            self._diary.note(CellEnded(at=at, client=client, msg_id=execution.msg_id, end=end))
            began = at if execution.started is None else execution.started
            values = {
                "client": client,
                "msg_id": execution.msg_id,
                "end": end,
                "waited": round(began - execution.event.at, 4),
                "ran": round(at - began, 4),
            }
            logs.append(Log("cell.ended", values))
        return logs

    def _carry_out(self, step: Step, at: float) -> list[Command]:
        if step is NOTHING:
            return []
        ends = self._note_ends(step, at)
        commands = self._answers.abort(_events(step.aborted)) if step.aborted else []
        commands += self._send(step.sent, at)
        commands += ends
        if step.watch is not None:
            old, young = self._watched
            if not old and not young:
                old.append(step.watch)
                commands.append(StartTimer(TIMER, LOST_SECONDS))
            else:
                young.append(step.watch)
        return commands

    def _send(self, events: list[ClientSent], at: float) -> list[Command]:
        commands: list[Command] = []
        for event in events:
            self._requests.add(event.client, event.channel, event.message)
            header = event.message.header
            if header.msg_type == "execute_request" and event.channel is Channel.SHELL:
                self.executions.began(header.subshell_id, at)
                self._diary.note(CellSent(at=at, client=event.client, msg_id=header.msg_id))
            commands.append(ToKernel(event.channel, event.client, event.message))
        return commands


def _events(executions: list[Execution]) -> list[ClientSent]:
    return [execution.event for execution in executions]
