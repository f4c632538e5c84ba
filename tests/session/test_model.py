"""Random clients, a kernel, losses, deaths, restarts and orders, against what is naively right.

Frontends and kernel act at random (Hypothesis chooses), one event at a time; a kernel's sockets
are read in any order. After each event, and when all has come to its end, these hold:

* every request of a client that is there gets exactly one reply;
* each client's messages reach the kernel in the order in which it sent them;
* no cell is aborted but by its own client's error, or by who interrupted and its own;
* no comm is closed under one who uses it;
* the ledger is what the kernel really has, once all is said;
* all tables are empty or bounded when nothing is going on;
* what kmux makes up is valid by the protocol's schema, and the kernel's own by its session.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from functools import partial
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from jupyter_kernel_test.msgspec_v5 import validate_message

from proxy.message import Channel, ClientId, Message
from proxy.session import clients as clients_module
from proxy.session.asker import KMUX
from proxy.session.commands import (
    Command,
    EndSession,
    RestartKernel,
    SignalKernel,
    StartTimer,
    ToAll,
    ToClient,
    ToKernel,
)
from proxy.session.events import (
    CancelRequested,
    ClientLeft,
    ClientReturned,
    ClientSent,
    Event,
    KernelDied,
    KernelLaunched,
    KernelSent,
    RestartRequested,
    TimerFired,
    TurnEnded,
    Undelivered,
)
from proxy.session.lifecycle import Policy
from proxy.session.session import Session
from proxy.session.shell_queue import Execution, State
from proxy.session.subshells import MAX_REAL
from tests.messages import as_json, message
from tests.session.naive_kernel import CONTROL, OWN_TARGET, SHELL, STDIN, NaiveKernel

AWAY_SECONDS = 100.0
CLIENTS = [ClientId((b"zmq", name)) for name in (b"lab", b"qtconsole", b"script")]
PASSING = len(CLIENTS)
"""Stands for a client without an identity of its own: each time another one."""

words = st.sampled_from(
    ["ok", "ok", "error", "loop", "lose", "input"]
    + [f"{verb}:{comm}" for verb in ("open", "set", "shut") for comm in "abc"]
)
cells = st.lists(words, min_size=1, max_size=3).map(" ".join)
clients = st.sampled_from(range(len(CLIENTS) + 1))
which = st.integers(0, 99)
"""Which of those that there are."""


class Model(RuleBasedStateMachine):
    """The world around a session."""

    @initialize(
        repeats=st.booleans(), gives_back=st.booleans(), mode=st.sampled_from(["signal", "message"])
    )
    def begin(self, repeats: bool, gives_back: bool, mode: str) -> None:
        policy = Policy(away_seconds=AWAY_SECONDS, restart_limit=10**6)
        self.session = Session("kmux", policy)
        self.m = self.session.machines
        self.now = 1_800_000_000.0
        self.mode, self.repeats, self.gives_back = mode, repeats, gives_back
        self.kernel: NaiveKernel | None = None
        self.launches = 0
        self.attached: set[ClientId] = set()
        self.leaving: set[ClientId] = set()
        self.passed = 0
        self.left_at: dict[ClientId, float] = {}
        self.timers: dict[str, float] = {}
        self.numbers = 0
        self.asked: Counter[tuple[ClientId, str]] = Counter()
        self.replied: Counter[tuple[ClientId, str]] = Counter()
        self.sent: dict[ClientId, list[str]] = defaultdict(list)
        self.taken: dict[ClientId, list[str]] = defaultdict(list)
        self.cells: dict[str, tuple[ClientId, Message]] = {}
        self.causes: dict[ClientId, int] = {}
        """When something last happened that aborts a client's cells: those sent before it."""
        self.interrupters: set[ClientId] = set()
        self.users: dict[str, set[ClientId]] = {}
        self.openers: dict[str, ClientId] = {}
        self.prompts: dict[ClientId, list[Message]] = defaultdict(list)
        self.kernel_said: dict[int, Message] = {}  # by the object's id, which holds while it lives
        self.executions: dict[int, tuple[Execution, State]] = {}
        self.launch()
        while self.settle():
            pass

    # The runner's part

    def happen(self, event: Event) -> None:
        events = deque([event])
        while events:
            commands = self.session.handle(events.popleft())
            if self.session.is_behind:
                commands += self.session.handle(TurnEnded(at=self.now))
            for command in commands:
                self.carry_out(command, events)

    def carry_out(self, command: Command, events: deque[Event]) -> None:
        if isinstance(command, ToClient):
            self.check_made_up(command.message)
            if command.client in self.attached:
                self.deliver(command)
            else:
                values = {"client": command.client, "channel": command.channel}
                events.append(Undelivered(at=self.now, message=command.message, **values))
        elif isinstance(command, ToAll):
            self.check_made_up(command.message)
        elif isinstance(command, ToKernel):
            self.to_kernel(command)
        elif isinstance(command, SignalKernel):
            if self.kernel is not None:
                self.kernel.interrupt()
        elif isinstance(command, RestartKernel):
            self.kernel = None
        elif isinstance(command, StartTimer):
            self.timers[command.key] = self.now + command.seconds
        else:
            assert not isinstance(command, EndSession), "nobody owns this session"

    def deliver(self, command: ToClient) -> None:
        got, client = command.message, command.client
        if got.msg_type == "input_request":
            self.prompts[client].append(got)
        elif got.msg_type.endswith("_reply") and got.parent is not None:
            self.replied[client, got.parent.msg_id] += 1
            self.check_abort(client, got)

    def to_kernel(self, command: ToKernel) -> None:
        if self.kernel is None:
            return
        client = ClientId(tuple(command.routing))
        if client != KMUX and command.channel is SHELL:
            msg_id = command.message.msg_id
            if msg_id not in self.taken[client]:  # one that the kernel threw away is sent again
                self.taken[client].append(msg_id)
        if command.message.msg_type == "comm_close":
            self.check_close(client, as_json(command.message.raw_content)["comm_id"])
        self.kernel.take(command.channel, tuple(command.routing), command.message)

    # Frontends

    def client_sends(self, client: ClientId, channel: Channel, sent: Message) -> None:
        self.comes_back(client)
        if sent.msg_type.endswith("_request"):
            self.asked[client, sent.msg_id] += 1
        if channel is SHELL:
            self.sent[client].append(sent.msg_id)
        self.happen(ClientSent(at=self.now, client=client, channel=channel, message=sent))

    def new(self, kind: str, content: dict[str, Any] | None = None, **more: Any) -> Message:
        self.numbers += 1
        return message(kind, content or {}, msg_id=str(self.numbers), session="client", **more)

    @rule(who=clients, code=cells, stop=st.booleans(), silent=st.booleans(), sub=st.integers(0, 5))
    def runs_a_cell(self, who: int, code: str, stop: bool, silent: bool, sub: int) -> None:
        client = self.client(who)
        own = self.m.subshells.subshells.used()
        where = {"subshell_id": own[sub]} if sub < len(own) else {}
        content = {"code": code, "silent": silent, "stop_on_error": stop}
        cell = self.new("execute_request", content, **where)
        self.cells[cell.msg_id] = (client, cell)
        self.client_sends(client, SHELL, cell)

    @rule(
        who=clients,
        kind=st.sampled_from(["complete", "history", "kernel_info", "comm_info", "inspect"]),
    )
    def asks(self, who: int, kind: str) -> None:
        client = self.client(who)
        self.client_sends(client, SHELL, self.new(f"{kind}_request"))

    @rule(who=clients, which=which, value=st.integers(100, 200))
    def moves_a_slider(self, who: int, which: int, value: int) -> None:
        client = self.client(who)
        comm_id = self.comm(which)
        self.users.setdefault(comm_id, set()).add(client)
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        self.client_sends(client, SHELL, self.new("comm_msg", {"comm_id": comm_id, "data": data}))

    @rule(who=clients, which=which)
    def closes_a_comm(self, who: int, which: int) -> None:
        client = self.client(who)
        comm_id = self.comm(which)
        self.users.get(comm_id, set()).discard(client)
        content = {"comm_id": comm_id, "data": {}}
        self.client_sends(client, SHELL, self.new("comm_close", content))

    @rule(who=clients, known=st.booleans())
    def opens_a_comm(self, who: int, known: bool) -> None:
        client = self.client(who)
        comm_id = f"own {self.numbers}"
        self.users[comm_id] = {client}
        self.openers[comm_id] = client
        target = OWN_TARGET if known else "unknown"
        content = {"comm_id": comm_id, "target_name": target, "data": {}}
        self.client_sends(client, SHELL, self.new("comm_open", content))

    def client(self, who: int) -> ClientId:
        if who != PASSING:
            return CLIENTS[who]
        return ClientId((b"zmq", b"\x00%d" % self.passed))

    def comm(self, which: int) -> str:
        """One that is open, or was never there."""
        known = [comm.comm_id for comm in self.m.comms.comms] or ["never"]
        return known[which % len(known)]

    @rule(who=clients)
    def comes_late(self, who: int) -> None:
        """As JupyterLab: all states, on a control comm of its own."""
        client = self.client(who)
        comm_id = f"control-{self.numbers}"
        target = {"comm_id": comm_id, "target_name": "jupyter.widget.control", "data": {}}
        asked = {"comm_id": comm_id, "data": {"method": "request_states"}}
        if self.m.is_ready and any(comm.is_widget for comm in self.m.comms.comms):
            for comm in self.m.comms.comms:
                self.users.setdefault(comm.comm_id, set()).add(client)
        version = {"version": "1.0.0"}
        for kind, content in (("comm_open", target), ("comm_msg", asked), ("comm_close", asked)):
            self.client_sends(client, SHELL, self.new(kind, content, metadata=version))

    @rule(who=clients, restart=st.sampled_from([False] * 9 + [True]))
    def shuts_down(self, who: int, restart: bool) -> None:
        client = self.client(who)
        self.comes_back(client)
        self.blame(client)
        if restart:
            self.blame(*self.sent)
        else:
            self.leaving.add(client)
            self.forget_use(client)
        self.client_sends(client, CONTROL, self.new("shutdown_request", {"restart": restart}))

    @rule(who=clients)
    def interrupts(self, who: int) -> None:
        client = self.client(who)
        self.interrupters.add(client)  # its own cells go with the one that it interrupts
        self.client_sends(client, CONTROL, self.new("interrupt_request"))

    @rule(who=clients, verb=st.sampled_from(["create", "delete", "list"]), which=which)
    def has_subshells(self, who: int, verb: str, which: int) -> None:
        client = self.client(who)
        used = self.m.subshells.subshells.used()
        content = {"subshell_id": used[which % len(used)]} if verb == "delete" and used else {}
        if verb == "delete" and not used:
            return
        self.client_sends(client, CONTROL, self.new(f"{verb}_subshell_request", content))

    @rule(who=clients)
    def answers_a_prompt(self, who: int) -> None:
        client = self.client(who)
        if self.prompts[client]:
            prompt = self.prompts[client].pop()
            self.client_sends(client, STDIN, self.new("input_reply", {"value": "x"}, parent=prompt))

    @rule(who=clients)
    def vanishes(self, who: int) -> None:
        client = self.client(who)
        if client in self.attached:
            self.attached.discard(client)
            self.left_at[client] = self.now
            self.prompts[client].clear()
            self.passed += who == PASSING
            if who == PASSING or client in self.leaving:
                self.goes(client)
            self.happen(ClientLeft(at=self.now, client=client))

    @rule(client=st.sampled_from(CLIENTS))
    def comes_back(self, client: ClientId) -> None:
        if client not in self.attached:
            self.attached.add(client)
            self.leaving.discard(client)
            self.left_at.pop(client, None)
            self.happen(ClientReturned(at=self.now, client=client))

    def goes(self, client: ClientId) -> None:
        """It is gone for good: nothing need reach it any more."""
        self.blame(client)
        self.forget_use(client)
        for key in [key for key in self.asked if key[0] == client]:
            del self.asked[key]
            self.replied.pop(key, None)

    def forget_use(self, client: ClientId) -> None:
        for users in self.users.values():
            users.discard(client)

    @rule(which=which)
    def cancels(self, which: int) -> None:
        queued = [e for e in self.m.queue.executions if e.state is State.QUEUED]
        if queued:
            one = queued[which % len(queued)]
            self.blame(one.event.client)
            event = CancelRequested(at=self.now, client=one.event.client, msg_id=one.msg_id)
            self.happen(event)

    # The kernel

    @precondition(lambda self: self.kernel is None)
    @rule()
    def launch(self) -> None:
        self.launches += 1
        self.users.clear()
        self.kernel = NaiveKernel(
            session="kernel",
            repeats_updates=self.repeats,
            gives_back_routing=self.gives_back,
        )
        self.happen(KernelLaunched(at=self.now, interrupt_mode=self.mode))

    @rule(steps=st.lists(st.integers(0, 99), min_size=1, max_size=30))
    def kernel_goes_on(self, steps: list[int]) -> None:
        """It works on a shell, or one of its sockets is read, in any order."""
        for number in steps:
            if self.kernel is None:
                return
            works = [partial(self.kernel.step, shell) for shell in self.kernel.busy_shells()]
            heard = [
                partial(self.hear, self.kernel, channel)
                for channel, said in self.kernel.says.items()
                if said
            ]
            if possible := [*works, *heard]:
                possible[number % len(possible)]()

    def hear(self, kernel: NaiveKernel, channel: Channel) -> None:
        routing, said = kernel.says[channel].popleft()
        self.kernel_said[id(said)] = said
        self.note_error(said)
        self.happen(KernelSent(at=self.now, channel=channel, routing=routing, message=said))

    def note_error(self, said: Message) -> None:
        if said.msg_type == "execute_reply" and said.parent is not None:
            client, _ = self.cells[said.parent.msg_id]
            if as_json(said.raw_content)["status"] == "error":
                self.blame(client, *self.interrupters)

    @rule(how_likely=st.integers(0, 9))
    def kernel_dies(self, how_likely: int) -> None:
        if self.kernel is not None and how_likely == 0:
            self.kernel = None
            self.blame(*self.sent)
            self.happen(KernelDied(at=self.now, reason="it was killed"))

    @rule(how_likely=st.integers(0, 9))
    def kernel_is_restarted(self, how_likely: int) -> None:
        if how_likely:
            return
        self.blame(*self.sent)
        self.happen(RestartRequested(at=self.now))

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 3.0, AWAY_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for key in [key for key, at in self.timers.items() if at <= self.now]:
            del self.timers[key]
            if key == clients_module.TIMER:
                for client, left in self.left_at.items():
                    if self.now - left >= AWAY_SECONDS:
                        self.goes(client)
            self.happen(TimerFired(at=self.now, key=key))

    # What must hold

    def check_made_up(self, said: Message) -> None:
        if id(said) in self.kernel_said or said.msg_type in ("iopub_welcome", "input_request"):
            return
        content = as_json(said.raw_content)
        header = as_json(said.raw_header)
        if self.m.startup.answered:
            assert header["session"] == "kernel"
        if content.get("execution_state") in ("restarting", "dead"):
            return  # jupyter_server says these in the kernel's name
        if said.msg_type.endswith("_subshell_reply"):  # newer than the schema
            assert content["status"] in ("ok", "error")
        elif said.msg_type.startswith("comm_") and said.msg_type != "comm_info_reply":
            assert isinstance(content["comm_id"], str)
            assert isinstance(content["data"], dict)
        elif content != {"status": "aborted"}:
            whole = {
                "header": header,
                "parent_header": as_json(said.raw_parent),
                "metadata": as_json(said.raw_metadata),
                "content": content,
                "buffers": [],
            }
            validate_message(whole, said.msg_type)

    def check_abort(self, client: ClientId, got: Message) -> None:
        if as_json(got.raw_content).get("status") == "aborted":
            assert got.parent is not None
            cause = self.causes.get(client, -1)
            assert cause >= int(got.parent.msg_id), "aborted by nobody's fault but another's"

    def blame(self, *clients: ClientId) -> None:
        self.causes.update(dict.fromkeys(clients, self.numbers))

    def check_close(self, client: ClientId, comm_id: str) -> None:
        others = self.users.get(comm_id, set()) - {client} if comm_id != "never" else set()
        assert not others or self.openers.get(comm_id) == client, f"closed under {others}"

    @invariant()
    def order_is_kept(self) -> None:
        if not hasattr(self, "taken"):
            return
        for client, taken in self.taken.items():
            position = {msg_id: at for at, msg_id in enumerate(self.sent[client])}
            by_shell: dict[Any, list[int]] = {}
            for msg_id in taken:
                cell = self.cells.get(msg_id)
                shell = cell[1].header.subshell_id if cell else None
                by_shell.setdefault(shell, []).append(position[msg_id])
            for places in by_shell.values():
                assert places == sorted(places)

    @invariant()
    def no_reply_is_given_twice(self) -> None:
        if hasattr(self, "replied"):
            assert all(count <= 1 for count in self.replied.values())

    @invariant()
    def states_change_as_they_may(self) -> None:
        if not hasattr(self, "executions"):
            return
        rank = [State.QUEUED, State.EXECUTING, State.COMPLETE]
        for execution in self.m.queue.executions:
            self.executions.setdefault(id(execution), (execution, execution.state))
        for key, (execution, before) in self.executions.items():
            assert rank.index(execution.state) >= rank.index(before)
            assert (execution.end is not None) == (execution.state is State.COMPLETE)
            self.executions[key] = (execution, execution.state)

    @invariant()
    def tables_are_bounded(self) -> None:
        if not hasattr(self, "m"):
            return
        assert len(self.m.subshells.subshells) <= MAX_REAL
        assert len(self.m.comms.holders) == len(self.m.comms.comms)

    def teardown(self) -> None:
        """Let all come to its end, and look at what is left."""
        if not hasattr(self, "m"):
            return
        for _ in range(10_000):
            if not self.settle():
                break
        else:
            raise AssertionError("it never comes to rest")
        for client in CLIENTS:
            self.comes_back(client)
        self.time_passes(0.0)
        replied = {request: self.replied[request] for request in self.asked}
        assert replied == self.asked, "one reply to each request"
        m = self.m
        assert list(m.requests.waiting()) == []
        assert m.status.busy_with is None
        assert list(m.queue.executions) == []
        assert (
            len(m.running) == len(m.prompts) == len(m.mailbox) == len(m.comms.widgets.echoes) == 0
        )
        assert self.kernel is not None
        assert self.ledger() == self.kernel.comms
        assert len(m.subshells.subshells) == self.kernel.subshells

    def settle(self) -> bool:
        """One more step towards the end. Returns whether there was one."""
        if self.kernel is None:
            self.launch()
            return True
        for channel in (Channel.IOPUB, SHELL, CONTROL, STDIN):
            if self.kernel.says[channel]:
                self.hear(self.kernel, channel)
                return True
        if shells := self.kernel.busy_shells():
            self.kernel.step(shells[0])
            return True
        if self.kernel.is_stuck:
            self.blame(*self.sent)
            self.kernel.interrupt()
            return True
        soon = [at for key, at in self.timers.items() if key not in ("away", "mailbox")]
        if soon:
            self.time_passes(max(0.0, min(soon) - self.now))
        return bool(soon)

    def ledger(self) -> dict[str, dict[str, Any] | None]:
        return {
            comm.comm_id: None
            if comm.fields is None
            else {key: as_json(bytes(f.value or b"null")) for key, f in comm.fields.items()}
            for comm in self.m.comms.comms
        }


TestModel = Model.TestCase
TestModel.settings = settings(stateful_step_count=60)
