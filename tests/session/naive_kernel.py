"""A kernel in memory that behaves like ipykernel 7.4 where that matters to a session.

Cells are lists of words, done one after the other:

    error            ends the cell with an error
    loop             runs until it is interrupted
    lose             the reply is never sent
    input            asks for a line
    open:NAME        opens a widget's comm;   set:NAME changes it;   shut:NAME closes it

What it says waits in one queue for each socket, and the sockets are read in any order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from proxy.message import Channel, Message
from tests.messages import as_json, message, reply, status
from tests.session.playbook import kernel_info

SHELL, CONTROL, STDIN, IOPUB = Channel.SHELL, Channel.CONTROL, Channel.STDIN, Channel.IOPUB
Routing = tuple[bytes, ...]
MODEL_TARGET = "jupyter.widget"
OWN_TARGET = "known"
"""A target that frontends may open a comm for."""


STOP_ABORTING = message("stop aborting")
"""A message to itself: what was there before it is thrown away (ipykernel's own way)."""


class NaiveKernel:
    """Takes messages, does a step of its work when told so, and queues what it says."""

    def __init__(self, *, session: str, repeats_updates: bool, gives_back_routing: bool) -> None:
        self.session = session
        self.repeats_updates = repeats_updates
        self.gives_back_routing = gives_back_routing
        self.says: dict[Channel, deque[tuple[Routing, Message]]] = {
            channel: deque() for channel in (SHELL, CONTROL, STDIN, IOPUB)
        }
        self.comms: dict[str, dict[str, Any] | None] = {}
        """The state of each open comm; None for one that has none."""
        self.ran: list[Message] = []
        """The cells that began, in order."""
        self.closed_by_frontends: list[tuple[Routing, str]] = []
        self._waits: dict[str | None, deque[tuple[Routing, Message]]] = {None: deque()}
        self._work: dict[str | None, Iterator[None]] = {}
        self._aborting: dict[str | None, bool] = {}
        self._named: dict[str, str] = {}
        self._last_on: dict[str, str | None] = {}
        self._looping = False
        self._interrupted = False
        self._answers: deque[Message] = deque()
        self._asks = False
        self._counter = 0

    # What comes in

    def take(self, channel: Channel, routing: Routing, sent: Message) -> None:
        if channel is STDIN:
            self._answers.append(sent)
        elif channel is CONTROL:
            for _ in self._control(routing, sent):
                pass
        else:
            shell = self._shell_of(sent)
            if shell in self._waits:
                self._waits[shell].append((routing, sent))
            else:
                self._say(IOPUB, status("busy", sent))
                kind = sent.msg_type.rsplit("_", 1)[0] + "_reply"
                content = {"ename": "UnknownSubshellError", "evalue": "", "traceback": []}
                self._reply(SHELL, routing, sent, kind, **{**content, "status": "error"})
                self._say(IOPUB, status("idle", sent))

    def _shell_of(self, sent: Message) -> str | None:
        """ipykernel sends a comm's messages to the subshell that last published on it."""
        if sent.msg_type in ("comm_msg", "comm_close"):
            comm_id = as_json(sent.raw_content)["comm_id"]
            return self._last_on.get(comm_id, sent.header.subshell_id)
        return sent.header.subshell_id

    def interrupt(self) -> None:
        self._interrupted = self.is_stuck

    @property
    def is_stuck(self) -> bool:
        """Whether the main shell waits: in a loop, or for an answer."""
        return self._looping or self._asks

    @property
    def subshells(self) -> int:
        return len(self._waits) - 1

    # Its work, a step at a time

    def busy_shells(self) -> list[str | None]:
        """The shells on which there is a step to do now."""
        return [shell for shell in self._waits if self._can_go_on(shell)]

    def _can_go_on(self, shell: str | None) -> bool:
        if shell not in self._work:
            return bool(self._waits[shell])
        if shell is None and self._looping:
            return self._interrupted
        if shell is None and self._asks:
            return self._interrupted or bool(self._answers)
        return True

    def step(self, shell: str | None) -> None:
        if shell not in self._work:
            routing, sent = self._waits[shell].popleft()
            if sent is STOP_ABORTING:
                self._aborting[shell] = False
                return
            self._work[shell] = self._shell(shell, routing, sent)
        if next(self._work[shell], "done") == "done":
            del self._work[shell]

    def _shell(self, shell: str | None, routing: Routing, sent: Message) -> Iterator[None]:
        self._say(IOPUB, status("busy", sent))
        yield
        kind = sent.msg_type
        if kind == "execute_request":
            yield from self._cell(shell, routing, sent)
        elif kind.startswith("comm_") and kind != "comm_info_request":
            self._comm(routing, sent)
        elif kind == "kernel_info_request":
            info = {**kernel_info(), "supported_features": ["kernel subshells"]}
            self._reply(SHELL, routing, sent, **info)
        elif kind == "comm_info_request":
            comms = {c: {"target_name": self._target(c)} for c in self.comms}
            self._reply(SHELL, routing, sent, comms=comms)
        else:
            self._reply(SHELL, routing, sent)
        yield
        self._say(IOPUB, status("idle", sent))
        if kind == "execute_request" and self._aborting.get(shell) and sent in self.ran:
            yield  # what comes in this moment is thrown away as well
            self._waits[shell].append(((), STOP_ABORTING))

    def _cell(self, shell: str | None, routing: Routing, sent: Message) -> Iterator[None]:
        content = as_json(sent.raw_content)
        if self._aborting.get(shell):
            self._reply(SHELL, routing, sent, status="aborted")
            return
        self.ran.append(sent)
        failed = False
        for word in content["code"].split():
            verb, _, name = word.partition(":")
            if verb == "open":
                self._counter += 1
                self._named[name] = f"{name}{self._counter}"
            comm_id = self._named.get(name, name)
            if verb in ("loop", "input") and shell is None:
                self._looping = verb == "loop"
                self._asks = verb == "input"
                if self._asks:
                    prompt = {"prompt": "?", "password": False}
                    asked = message("input_request", prompt, parent=sent, session=self.session)
                    self._say(STDIN, asked, routing)
                yield
                failed = self._interrupted
                if self._asks and not failed:
                    self._answers.popleft()
                self._looping = self._asks = self._interrupted = False
            elif verb == "open":
                self.comms[comm_id] = {"value": 0}
                data = {"state": {"value": 0}, "buffer_paths": []}
                opened = {"comm_id": comm_id, "target_name": MODEL_TARGET, "data": data}
                self._publish("comm_open", comm_id, sent, opened)
            elif verb == "set" and self.comms.get(comm_id) is not None:
                self._counter += 1
                self._state(comm_id)["value"] = self._counter
                self._update("update", comm_id, {"value": self._counter}, sent)
            elif verb == "shut" and comm_id in self.comms:
                self._publish("comm_close", comm_id, sent, {"comm_id": comm_id, "data": {}})
                self._forget(comm_id)
            failed |= verb == "error"
            yield
            if failed:
                break
        if "lose" not in content["code"]:
            ended = {"status": "error", "ename": "E", "evalue": "", "traceback": []}
            self._reply(SHELL, routing, sent, **(ended if failed else {"execution_count": 1}))
        if failed and content["stop_on_error"]:
            self._aborting[shell] = True

    def _comm(self, routing: Routing, sent: Message) -> None:
        content = as_json(sent.raw_content)
        comm_id, data = content["comm_id"], content.get("data", {})
        if sent.msg_type == "comm_open":
            if content["target_name"] == OWN_TARGET:
                self.comms[comm_id] = None
            else:
                self._publish("comm_close", comm_id, sent, {"comm_id": comm_id, "data": {}})
        elif sent.msg_type == "comm_close":
            if comm_id in self.comms:
                self.closed_by_frontends.append((routing, comm_id))
                self._forget(comm_id)
        elif self.comms.get(comm_id) is not None and data.get("method") == "update":
            self._state(comm_id).update(data["state"])
            if self.repeats_updates:
                self._update("echo_update", comm_id, data["state"], sent)

    def _control(self, routing: Routing, sent: Message) -> Iterator[None]:
        self._say(IOPUB, status("busy", sent))
        content = as_json(sent.raw_content)
        kind = sent.msg_type
        if kind == "create_subshell_request":
            self._counter += 1
            subshell_id = f"{self.session}-subshell-{self._counter}"
            self._waits[subshell_id] = deque()
            self._reply(CONTROL, routing, sent, subshell_id=subshell_id)
        elif kind == "delete_subshell_request":
            found = content["subshell_id"] in self._waits
            if found:
                # Work that is on it is finished first.
                shell = content["subshell_id"]
                while self._can_go_on(shell):
                    self.step(shell)
                del self._waits[shell]
            self._reply(CONTROL, routing, sent, status="ok" if found else "error")
        elif kind == "list_subshell_request":
            self._reply(CONTROL, routing, sent, subshell_id=[s for s in self._waits if s])
        elif kind == "interrupt_request":
            self.interrupt()
            self._reply(CONTROL, routing, sent)
        else:
            self._reply(CONTROL, routing, sent)
        self._say(IOPUB, status("idle", sent))
        yield

    # What goes out

    def _state(self, comm_id: str) -> dict[str, Any]:
        state = self.comms[comm_id]
        assert state is not None
        return state

    def _target(self, comm_id: str) -> str:
        return OWN_TARGET if self.comms[comm_id] is None else MODEL_TARGET

    def _update(self, method: str, comm_id: str, state: dict[str, Any], parent: Message) -> None:
        data = {"method": method, "state": state, "buffer_paths": []}
        self._publish("comm_msg", comm_id, parent, {"comm_id": comm_id, "data": data})

    def _publish(self, kind: str, comm_id: str, parent: Message, content: dict[str, Any]) -> None:
        self._last_on[comm_id] = parent.header.subshell_id
        self._say(IOPUB, message(kind, content, parent=parent, session=self.session))

    def _forget(self, comm_id: str) -> None:
        del self.comms[comm_id]
        self._last_on.pop(comm_id, None)

    def _reply(
        self, channel: Channel, routing: Routing, to: Message, kind: str = "", **content: Any
    ) -> None:
        said = reply(to, kind or None, **content)
        self._say(channel, said, routing)

    def _say(self, channel: Channel, said: Message, routing: Routing = ()) -> None:
        self.says[channel].append((routing if self.gives_back_routing else (), said))
