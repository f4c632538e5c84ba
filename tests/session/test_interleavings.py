"""Any interleaving of frontends, kernel, deaths and absences: order is kept, nobody is forgotten.

A world is played step by step: at each step Hypothesis chooses among all that may happen next.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import Channel, ClientId, Message
from proxy.session.commands import (
    Command,
    RestartKernel,
    StartTimer,
    ToAll,
    ToClient,
    ToKernel,
)
from proxy.session.events import (
    ClientReturned,
    ClientSent,
    Event,
    KernelDied,
    KernelLaunched,
    KernelSent,
    RestartRequested,
    ShuttingDown,
    TimerFired,
    Undelivered,
)
from proxy.session.lifecycle import Policy
from proxy.session.mailbox import RETRY_TIMER
from proxy.session.session import KMUX, Session
from tests.messages import as_json, message, reply, status
from tests.session.playbook import channel_of, kernel_info

FORWARDED = ("execute_request", "complete_request", "history_request", "debug_request")
ANSWERED_HERE = (
    "kernel_info_request",
    "comm_info_request",
    "interrupt_request",
    "shutdown_request",
)


class ScriptedKernel:
    """Takes requests in order, one after the other on each channel, and queues what it says.

    Sockets are not synchronised: what waits on one may be read before or after the others.
    """

    def __init__(self, *, echoes: bool) -> None:
        self.echoes = echoes
        self.taken: list[tuple[ClientId, Message]] = []
        self.saying: dict[Channel, deque[KernelSent]] = {
            channel: deque() for channel in (Channel.SHELL, Channel.CONTROL, Channel.IOPUB)
        }

    def take(self, command: ToKernel) -> None:
        asked, routing = command.message, command.routing
        self.taken.append((ClientId(tuple(routing)), asked))
        self._say(Channel.IOPUB, status("busy", asked))
        if asked.msg_type.endswith("_request"):
            content = kernel_info() if asked.msg_type == "kernel_info_request" else {}
            prefix = tuple(routing) if self.echoes else ()
            self._say(command.channel, reply(asked, **content), prefix)
        self._say(Channel.IOPUB, status("idle", asked))

    def _say(self, channel: Channel, said: Message, routing: tuple[bytes, ...] = ()) -> None:
        self.saying[channel].append(
            KernelSent(at=0, channel=channel, routing=routing, message=said)
        )


class World:
    """Frontends, a kernel and the session between them."""

    def __init__(self, plans: list[list[Message]], *, echoes: bool, mode: str) -> None:
        self.session = Session("kmux", Policy(restart_limit=1000))
        self.echoes = echoes
        self.mode = mode
        self.kernel: ScriptedKernel | None = None
        self.dying: ScriptedKernel | None = None
        self.sent: list[tuple[ClientId, Message]] = []
        self.got: list[tuple[ClientId, Message]] = []
        self.published: list[Message] = []
        self.taken: list[tuple[ClientId, Message]] = []
        self.away: set[ClientId] = set()
        self.timers: list[str] = []
        self.plans = {
            ClientId((b"zmq", b"client %d" % number)): deque(plan)
            for number, plan in enumerate(plans)
        }

    def happen(self, event: Event) -> None:
        """One event, and what comes of it, as the runner does."""
        events = deque([event])
        while events:
            for command in self.session.handle(events.popleft()):
                self._carry_out(command, events)

    def _carry_out(self, command: Command, events: deque[Event]) -> None:
        if isinstance(command, ToClient):
            if command.client in self.away:
                fields = {"client": command.client, "channel": command.channel}
                events.append(Undelivered(at=0, message=command.message, **fields))
            else:
                self.got.append((command.client, command.message))
        elif isinstance(command, ToAll):
            self.published.append(command.message)
        elif isinstance(command, ToKernel) and self.kernel is not None:
            self.kernel.take(command)
            if command.routing != KMUX:
                self.taken.append((ClientId(tuple(command.routing)), command.message))
        elif isinstance(command, StartTimer) and command.key.startswith("interrupt "):
            self.timers.append(command.key)
        elif isinstance(command, RestartKernel):
            self.dying, self.kernel = self.kernel, None

    def choices(self) -> list[Callable[[], None]]:
        """All that may happen next, but for misfortunes."""
        possible: list[Callable[[], None]] = [
            partial(self.send, client) for client, plan in self.plans.items() if plan
        ]
        for speaker in filter(None, (self.kernel, self.dying)):
            possible += [partial(self.hear, queue) for queue in speaker.saying.values() if queue]
        if self.kernel is None and not self.session.ended:
            possible.append(self.launch)
        if self.timers:
            possible.append(self.fire)
        return possible

    def misfortunes(self) -> list[Callable[[], None]]:
        possible: list[Callable[[], None]] = [partial(self.toggle, client) for client in self.plans]
        if self.kernel is not None:
            possible.append(self.die)
            possible.append(partial(self.happen, RestartRequested(at=0)))
        return possible

    def hear(self, queue: deque[KernelSent]) -> None:
        self.happen(queue.popleft())

    def send(self, client: ClientId) -> None:
        self.come_back(client)
        sent = self.plans[client].popleft()
        self.sent.append((client, sent))
        channel = channel_of(sent)
        self.happen(ClientSent(at=0, client=client, channel=channel, message=sent))

    def fire(self) -> None:
        self.happen(TimerFired(at=0, key=self.timers.pop(0)))

    def launch(self) -> None:
        self.dying = None
        self.kernel = ScriptedKernel(echoes=self.echoes)
        self.happen(KernelLaunched(at=0, interrupt_mode=self.mode))

    def die(self) -> None:
        self.kernel = None
        self.happen(KernelDied(at=0, reason="it was killed"))

    def toggle(self, client: ClientId) -> None:
        if client in self.away:
            self.come_back(client)
        else:
            self.away.add(client)

    def come_back(self, client: ClientId) -> None:
        if client in self.away:
            self.away.discard(client)
            self.happen(ClientReturned(at=0, client=client))

    def run(self, script: list[int], *, fortunate: bool) -> None:
        """Follow the script, then let everything come to its end."""
        for number in script:
            possible = self.choices()
            if not fortunate:
                possible += self.misfortunes()
            if possible:
                possible[number % len(possible)]()
        while possible := self.choices():
            possible[0]()
        for client in tuple(self.away):
            self.come_back(client)
        self.happen(TimerFired(at=0, key=RETRY_TIMER))

    # What must hold

    def replies(self) -> Counter[tuple[ClientId, str]]:
        return Counter(
            (client, got.parent.msg_id)
            for client, got in self.got
            if got.parent is not None and got.msg_type.endswith("_reply")
        )

    def check_answers(self) -> None:
        asked = Counter(
            (client, sent.msg_id)
            for client, sent in self.sent
            if sent.msg_type.endswith("_request")
        )
        assert self.replies() == asked, "one reply to each request, for who asked"
        for _, got in self.got:
            assert got.msg_type == reply(self.by_raw(got)).msg_type

    def by_raw(self, got: Message) -> Message:
        (sent,) = {id(m): m for _, m in self.sent if m.raw_header == got.raw_parent}.values()
        return sent

    def check_order(self) -> None:
        for client, channel in itertools.product(self.plans, (Channel.SHELL, Channel.CONTROL)):
            forwarded = [
                sent.raw_header
                for sender, sent in self.sent
                if (sender, channel_of(sent)) == (client, channel)
                and sent.msg_type not in ANSWERED_HERE
            ]
            taken = [m.raw_header for taker, m in self.taken if taker == client]
            taken = [raw for raw in taken if raw in forwarded]  # interrupts by message
            position = {raw: at for at, raw in enumerate(forwarded)}
            assert [position[raw] for raw in taken] == sorted(position[raw] for raw in taken)

    def aborted(self) -> set[bytes]:
        """The cells that were answered as aborted."""
        return {
            got.raw_parent
            for _, got in self.got
            if as_json(got.raw_content).get("status") == "aborted"
        }

    def check_rest(self) -> None:
        session = self.session
        comms = sum(not sent.msg_type.endswith("_request") for _, sent in self.sent)
        assert len(session.machines.requests) <= comms, "only what is never answered is kept"
        assert list(session.machines.requests.waiting()) == []
        assert session.machines.status.busy_with is None
        assert len(session.machines.mailbox) == 0
        assert len(session.machines.prompts) == 0
        assert len(session.machines.queue.executions) == 0
        assert list(session.machines.queue.executions) == []


def requests() -> st.SearchStrategy[list[list[Message]]]:
    """What each of some frontends is going to send."""
    types = st.sampled_from([*FORWARDED, *ANSWERED_HERE, "comm_msg"])
    one = st.builds(lambda kind, number: (kind, number), types, st.integers(0, 10**6))

    def build(plans: list[list[tuple[str, int]]]) -> list[list[Message]]:
        return [
            [
                message(
                    kind,
                    {"restart": False} if kind == "shutdown_request" else {},
                    session=f"client {client}",
                    msg_id=f"{client}-{at}",
                )
                for at, (kind, _) in enumerate(plan)
            ]
            for client, plan in enumerate(plans)
        ]

    return st.lists(st.lists(one, max_size=8), min_size=1, max_size=4).map(build)


scripts = st.lists(st.integers(0, 1000), max_size=80)
kernels: dict[str, Any] = {"echoes": st.booleans(), "mode": st.sampled_from(["signal", "message"])}


@given(plans=requests(), script=scripts, **kernels)
def test_each_request_is_answered_once_and_each_clients_order_is_kept(
    plans: list[list[Message]], script: list[int], echoes: bool, mode: str
) -> None:
    world = World(plans, echoes=echoes, mode=mode)
    world.run(script, fortunate=True)
    world.check_answers()
    world.check_order()
    world.check_rest()
    leavers = {client for client, sent in world.sent if sent.msg_type == "shutdown_request"}
    for client, sent in world.sent:
        if sent.msg_type not in ANSWERED_HERE:
            detached = sent.raw_header in world.aborted() and client in leavers
            assert detached != ((client, sent) in world.taken), "and nothing is held back"
    for _, sent in world.sent:
        states = [
            as_json(said.raw_content)["execution_state"]
            for said in world.published
            if said.msg_type == "status" and said.parent and said.parent.msg_id == sent.msg_id
        ]
        assert states[:1] + states[-1:] == ["busy", "idle"], "each has its busy and its idle"


@given(plans=requests(), script=scripts, **kernels)
def test_so_it_is_with_deaths_restarts_and_absences(
    plans: list[list[Message]], script: list[int], echoes: bool, mode: str
) -> None:
    world = World(plans, echoes=echoes, mode=mode)
    world.run(script, fortunate=False)
    world.check_answers()
    world.check_order()
    world.check_rest()


@given(plans=requests(), script=scripts, until=st.integers(0, 80), **kernels)
def test_so_it_is_when_the_session_is_ended_at_any_time(
    plans: list[list[Message]], script: list[int], until: int, echoes: bool, mode: str
) -> None:
    world = World(plans, echoes=echoes, mode=mode)
    for number in script[:until]:
        if possible := world.choices() + world.misfortunes():
            possible[number % len(possible)]()
    world.happen(ShuttingDown(at=0))
    world.run([], fortunate=True)
    world.check_answers()
    assert world.session.ended


@given(
    counts=st.lists(st.integers(1, 6), min_size=2, max_size=4), script=scripts, echoes=st.booleans()
)
def test_so_it_is_when_all_use_the_same_msg_ids(
    counts: list[int], script: list[int], echoes: bool
) -> None:
    """A copied notebook client, a counter from 1: ids are only unique within a frontend."""
    plans = [
        [message("execute_request", {}, session=f"{c}", msg_id=f"{at}") for at in range(count)]
        for c, count in enumerate(counts)
    ]
    world = World(plans, echoes=echoes, mode="signal")
    world.run(script, fortunate=True)
    world.check_answers()
    world.check_order()
    world.check_rest()


@given(junk=st.lists(st.tuples(st.sampled_from(["client", "kernel"]), st.binary(max_size=30))))
def test_content_that_is_no_json_breaks_nothing(junk: list[tuple[str, bytes]]) -> None:
    """The wire checks headers only; what is inside may be anything."""
    world = World(
        [[message("execute_request", {}, session="0", msg_id="0")]], echoes=True, mode="signal"
    )
    world.launch()
    for who, raw in junk:
        for kind in ("shutdown_request", "execute_request", "input_reply", "status"):
            odd = msgspec.structs.replace(message(kind), raw_content=raw, raw_metadata=raw)
            if who == "client":
                channel = channel_of(odd)
                client = ClientId((b"zmq", b"odd"))
                world.happen(ClientSent(at=0, client=client, channel=channel, message=odd))
            else:
                for channel in (Channel.SHELL, Channel.IOPUB, Channel.STDIN):
                    world.happen(KernelSent(at=0, channel=channel, routing=(), message=odd))
    world.plans = {next(iter(world.plans)): deque([message("complete_request", session="0")])}
    world.run([], fortunate=True)
    client = next(iter(world.plans))
    assert [m.msg_type for c, m in world.got if c == client] == ["complete_reply"]


@pytest.mark.parametrize(
    "raw", [b'{"restart": "\xff", "execution_state": "\xff"}', b'{"x": ' + b"[" * 2000]
)
def test_nor_does_content_that_trips_the_decoder(raw: bytes) -> None:
    session = Session("kmux")
    session.handle(KernelLaunched(at=0, interrupt_mode="signal"))
    for sent in (message("shutdown_request"), message("status")):
        odd = msgspec.structs.replace(sent, raw_content=raw)
        client = ClientId((b"zmq", b"odd"))
        session.handle(ClientSent(at=0, client=client, channel=Channel.CONTROL, message=odd))
        session.handle(KernelSent(at=0, channel=Channel.IOPUB, routing=(), message=odd))
