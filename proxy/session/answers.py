"""What kmux says in the kernel's name: answers that the kernel never gave.

Theory: to a frontend, an answer from kmux looks like one of the kernel's. It has its busy/idle
pair on iopub with the request as parent, and the kernel's session in its header. A pair that is
published while the kernel really is busy is followed by the true status, since frontends show
the last one (JupyterLab).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from proxy.message import ClientId, Message, Part
from proxy.session.commands import Command, Log, ToAll, ToAllBut, ToClient
from proxy.session.composer import Composer, timestamp
from proxy.session.events import ClientSent
from proxy.session.requests import Request, reply_type
from proxy.session.status import KernelStatus

Content = dict[str, Any] | bytes


def error(ename: str, evalue: str) -> dict[str, Any]:
    """Return the content of an error reply."""
    return {"status": "error", "ename": ename, "evalue": evalue, "traceback": []}


class Answers:
    """Makes answers in the kernel's voice."""

    def __init__(
        self, voice: Composer, status: KernelStatus, execution_state: Callable[[], str]
    ) -> None:
        self._voice = voice
        self._status = status
        self._execution_state = execution_state

    def true_status(self, at: float) -> Message:
        """Make the status message that tells what the kernel is really doing.

        That a kernel restarts is told once, when it begins: JupyterLab takes each "restarting" for
        another death, and connects anew each time.
        """
        state = self._execution_state()
        if state == "restarting":
            state = "starting"
        return self._voice.status(state, at, self._status.busy_with)

    def publish(self, state: str, at: float, but: frozenset[ClientId] = frozenset()) -> Command:
        """Tell all frontends, but these, of a state of the kernel that it cannot tell itself."""
        said = self._voice.status(state, at)
        return ToAllBut(but, said) if but else ToAll(said)

    def reply_to(
        self, event: ClientSent, content: Content, metadata: bytes = b"{}"
    ) -> list[Command]:
        """Answer a request that the kernel never saw, and tell the true status after it."""
        return self._and_true_status(self.replied(event, content, metadata), event.at)

    def _and_true_status(self, commands: list[Command], at: float) -> list[Command]:
        """Tell the true status after a made-up pair, where that is another one."""
        if self._execution_state() == "idle":
            return commands
        return [*commands, ToAll(self.true_status(at))]

    def replied(
        self, event: ClientSent, content: Content, metadata: bytes = b"{}"
    ) -> list[Command]:
        """Answer a request that the kernel never saw: busy, reply, idle."""
        at, origin = event.at, event.message.origin
        answer = self._voice.message(
            reply_type(origin), content, at, parent=origin, metadata=metadata
        )
        return [
            ToAll(self._voice.status("busy", at, origin)),
            ToClient(event.client, event.channel, answer),
            ToAll(self._voice.status("idle", at, origin)),
        ]

    def published(self, event: ClientSent, said: list[Message]) -> list[Command]:
        """Publish what a kernel would while it takes up a message that has no reply."""
        at, origin = event.at, event.message.origin
        states = [self._voice.status(state, at, origin) for state in ("busy", "idle")]
        return self._and_true_status([ToAll(m) for m in (states[0], *said, states[1])], at)

    def comm(
        self,
        comm_id: str,
        msg_type: str,
        event: ClientSent,
        content: Content,
        buffers: tuple[Part, ...] = (),
    ) -> Message:
        """Make a comm message that follows from a frontend's."""
        topic = f"comm-{comm_id}".encode()  # as ipykernel has it
        made = self._voice.message(
            msg_type, content, event.at, parent=event.message.origin, topic=topic
        )
        return msgspec.structs.replace(made, buffers=buffers)

    def refuse(self, event: ClientSent, ename: str, evalue: str) -> list[Command]:
        """Answer with an error, and tell the true status; what expects no answer is only logged."""
        commands = self.refused(event, ename, evalue)
        return self._and_true_status(commands, event.at) if len(commands) > 1 else commands

    def refused(self, event: ClientSent, ename: str, evalue: str) -> list[Command]:
        """Answer with an error; what expects no answer is only logged."""
        if not event.message.header.msg_type.endswith("_request"):
            return [Log("message.refused", {"client": event.client, "why": evalue}, "warning")]
        return self.replied(event, error(ename, evalue))

    def abort(self, events: list[ClientSent]) -> list[Command]:
        """Answer cells that will not run, and tell the true status."""
        commands = [c for event in events for c in self.aborted(event)]
        return self._and_true_status(commands, events[-1].at) if events else []

    def aborted(self, event: ClientSent) -> list[Command]:
        """Answer a cell that will not run, as ipykernel answers what an error threw away.

        Such a reply has no execution count, and there is no execute_input.
        """
        return self.replied(event, {"status": "aborted"}, self.metadata("aborted", event.at))

    def metadata(self, status: str, at: float) -> bytes:
        """Make the metadata that ipykernel gives replies of this status."""
        metadata: dict[str, Any] = {"started": timestamp(at), "status": status}
        if self._voice.engine is not None:
            metadata |= {"dependencies_met": True, "engine": self._voice.engine}
        return msgspec.json.encode(metadata)

    def give_up(self, request: Request, content: dict[str, Any], at: float) -> list[Command]:
        """Answer a request that the kernel was sent and will not answer any more."""
        voice, origin = self._voice, request.origin
        metadata = {"status": content["status"]}
        answer = voice.message(
            reply_type(request.origin), content, at, parent=origin, metadata=metadata
        )
        commands: list[Command] = [ToClient(request.client, request.channel, answer)]
        if not request.idled:
            commands.append(ToAll(voice.status("idle", at, origin)))
            if not self._status.is_busy_with(origin.header.msg_id):
                commands.insert(0, ToAll(voice.status("busy", at, origin)))
        return commands

    def abandon(self, waiting: list[Request], ename: str, evalue: str, at: float) -> list[Command]:
        """The kernel is gone: answer all that it was sent and did not answer.

        The cell that ran ends with an error; the cells that waited behind it are aborted, as
        ipykernel aborts its queue. The first one ran, even if its busy was lost with the kernel.
        """
        commands: list[Command] = []
        cell_seen = False
        answered = {request.origin.header.msg_id for request in waiting}
        for request in waiting:
            is_cell = request.origin.header.msg_type == "execute_request"
            begun = request.idled or self._status.is_busy_with(request.origin.header.msg_id)
            aborted = is_cell and cell_seen and not begun
            cell_seen |= is_cell
            content = {"status": "aborted"} if aborted else error(ename, evalue)
            commands += self.give_up(request, content, at)
        for origin in self._status.all_busy:
            if origin.header.msg_id not in answered:  # by the kernel: its idle was still to come
                commands.append(ToAll(self._voice.status("idle", at, origin)))
        return commands
