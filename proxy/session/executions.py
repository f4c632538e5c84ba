"""The execution queue: who runs a cell next, and whose cells an error takes with it.

Theory: a kernel runs one request at a time on each of its shells (the main one, and subshells,
JEP 91), and at an error throws away all cells that wait, whoever sent them (ipykernel's
``stop_on_error``). So kmux lets one execute_request at a time into each shell and keeps the rest:

    QUEUED --> EXECUTING --> COMPLETE: ok, error, interrupted, aborted, lost
       |                        ^
       +------------------------+  aborted: by its own client's error, or cancelled

* One client's messages on a shell keep their order, whatever they are: what comes after a cell of
  its own that waits, waits behind it. What has no such cell ahead goes to the kernel at once.
* Between clients it is fair: each has one cell run, then the next client. A silent cell (a
  frontend's own business, not a person's) does not wait for other clients' queues, only for the
  cell that runs.
* The reply is what lets the next cell in. After an error the kernel throws away what it has *and*
  what comes until it is done with that, so there its idle is waited for as well.
* A kernel that threw a cell away all the same never ran it: it is sent again.

The other messages on shell pass through here too, for the sake of their order. Control does not.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from proxy.message import ClientId, Message, MsgId
from proxy.session.events import ClientSent
from proxy.session.shell_queue import NOTHING, End, Execution, ShellQueue, State, Step

LOST_SECONDS = 3.0
"""How long, at least, a cell that is idle may wait for its reply, and one that failed for its
idle."""
MAX_SENT_AGAIN = 3


class _Reply(msgspec.Struct, frozen=True):
    """What the queue reads of a reply. IRkernel and bash_kernel say "abort" for a cell that ran."""

    status: str = "ok"


_reply_decoder = msgspec.json.Decoder(_Reply)


class Executions:
    """The queues of all shells, by subshell id; None is the main one."""

    def __init__(self) -> None:
        self._shells: dict[str | None, ShellQueue] = {}

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(len(e) for shell in self._shells.values() for e in shell.waiting.values())

    def __iter__(self) -> Iterator[Execution]:
        """What runs and what waits, shell by shell, in the order in which it has its turn."""
        for shell in self._shells.values():
            if shell.running is not None and shell.running.state is State.EXECUTING:
                yield shell.running
            yield from shell.in_turn()

    def running(self, subshell_id: str | None = None) -> Execution | None:
        """What runs on a shell."""
        shell = self._shells.get(subshell_id)
        execution = shell.running if shell is not None else None
        return execution if execution and execution.state is State.EXECUTING else None

    def with_the_kernel(self) -> Iterator[Execution]:
        """The cells that the kernel has, one for each shell at the most."""
        for shell in self._shells.values():
            if shell.running is not None and shell.running.state is State.EXECUTING:
                yield shell.running

    def all_waiting(self) -> Iterator[ClientSent]:
        """All messages that wait, each client's in their order."""
        for shell in self._shells.values():
            for entries in shell.waiting.values():
                for each in entries:
                    yield each.event if isinstance(each, Execution) else each

    def resume(self, event: ClientSent, *, was_interrupted: bool) -> None:
        """The kernel has this cell from before kmux was restarted."""
        shell = self._shells.setdefault(event.message.header.subshell_id, ShellQueue())
        execution = Execution(event)
        execution.was_interrupted = was_interrupted
        shell.run(event.client, execution)

    def in_the_way(self) -> Iterator[Execution]:
        """The cells that the kernel has and others wait for."""
        for shell in self._shells.values():
            if shell.waiting and shell.running and shell.running.state is State.EXECUTING:
                yield shell.running

    def has(self, subshell_id: str) -> bool:
        """Whether anything runs or waits on a subshell."""
        return subshell_id in self._shells

    def waiting(self, client: ClientId) -> int:
        """How many messages of a client wait."""
        if not self._shells:
            return 0
        return sum(len(shell.waiting.get(client, ())) for shell in self._shells.values())

    def submit(self, event: ClientSent) -> list[ClientSent]:
        """A client's message on shell. Returns what goes to the kernel now."""
        header = event.message.header
        is_cell = header.msg_type == "execute_request"
        shell = self._shells.get(header.subshell_id)
        if shell is None:
            if not is_cell:
                return [event]
            shell = self._shells[header.subshell_id] = ShellQueue()
        if not shell.add(event.client, Execution(event) if is_cell else event):
            return [event]
        return shell.fill()

    def began(self, subshell_id: str | None, at: float) -> None:
        """What is next on a shell goes to the kernel."""
        shell = self._shells.get(subshell_id)
        if shell is not None and shell.running is not None:
            shell.running.started = at

    def replied(self, client: ClientId, reply: Message) -> Step:
        """The kernel answered a request of this client."""
        found = self._find(reply, client)
        if found is None:
            return NOTHING
        shell, execution = found
        content = reply.content_as(_reply_decoder) or _Reply()
        never_ran = content.status == "aborted" and not execution.was_interrupted
        if never_ran and execution.sent_again < MAX_SENT_AGAIN:
            execution.sent_again += 1
            execution.idled = False
            return Step(sent=[execution.event], sent_again=True)
        step = Step()
        execution.complete(_end(execution, content.status))
        step.completed.append(execution)
        if execution.end is End.OK or not execution.stop_on_error:
            shell.running = None
        else:
            for blamed in execution.blamed:
                step.add(shell.abort(blamed))
            if execution.idled:
                shell.running = None
            else:
                step.watch = execution
        step.sent += self._fill(shell, execution)
        return step

    def idled(self, idle: Message) -> Step:
        """The kernel is done with a request, says its status."""
        found = self._find(idle)
        if found is None:
            return NOTHING
        shell, execution = found
        execution.idled = True
        if execution.state is State.EXECUTING:
            return Step(watch=execution)
        shell.running = None
        return Step(sent=self._fill(shell, execution))

    def overdue(self, execution: Execution) -> Step:
        """The time is over. A cell that has still no reply is lost now (``State.COMPLETE``)."""
        subshell_id = execution.event.message.header.subshell_id
        shell = self._shells.get(subshell_id)
        if shell is None or shell.running is not execution:
            return Step()
        step = Step()
        if execution.state is State.EXECUTING:
            execution.complete(End.LOST)
            step.completed.append(execution)
        shell.running = None
        step.sent = self._fill(shell, execution)
        return step

    def interrupted(self, client: ClientId | None = None) -> None:
        """The main shell is interrupted: if the cell there fails, who did it is blamed as well."""
        execution = self.running()
        if execution is not None:
            execution.was_interrupted = True
            if client is not None:
                execution.blamed.add(client)

    def cancel(self, client: ClientId, msg_id: MsgId) -> Step:
        """Take one cell that waits out of the queue."""
        for shell in self._shells.values():
            step = shell.cancel(client, msg_id)
            if step.aborted:
                return step
        return Step()

    def drop(self, client: ClientId) -> Step:
        """A client left for good: take all its cells that wait out."""
        step = Step()
        for shell in self._shells.values():
            step.add(shell.abort(client))
        return step

    def abandon(self) -> Step:
        """The kernel is gone. What ran is lost; what waits is not for its successor."""
        step = Step()
        for shell in self._shells.values():
            if shell.running is not None and shell.running.state is State.EXECUTING:
                shell.running.complete(End.LOST)
                step.completed.append(shell.running)
            for client in tuple(shell.waiting):
                step.add(shell.abort(client))
        self._shells.clear()
        return step

    def _find(
        self, message: Message, client: ClientId | None = None
    ) -> tuple[ShellQueue, Execution] | None:
        """Find the execution that a message of the kernel has as its parent."""
        parent = message.parent
        shell = self._shells.get(parent.subshell_id) if parent is not None else None
        if parent is None or shell is None or shell.running is None:
            return None
        event = shell.running.event
        if event.message.header.msg_id != parent.msg_id:
            return None
        return None if client not in (None, event.client) else (shell, shell.running)

    def _fill(self, shell: ShellQueue, last: Execution) -> list[ClientSent]:
        sent = shell.fill()
        if shell.running is None:
            del self._shells[last.event.message.header.subshell_id]
        return sent


def _end(execution: Execution, status: str) -> End:
    if status == "ok":
        return End.OK
    if execution.was_interrupted:
        return End.INTERRUPTED
    return End.ABORTED if status == "aborted" else End.ERROR
