"""The execution queue: turns, order, what an error takes with it. Conversations of a whole session
are in test_session.py.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque

from hypothesis import given
from hypothesis import strategies as st

from proxy.message import Channel, ClientId, Message
from proxy.session.events import ClientSent
from proxy.session.executions import MAX_SENT_AGAIN, Executions
from proxy.session.shell_queue import End, Execution, State, Step
from tests.messages import message, request, status

ALICE, BOB, CAROL = (ClientId((b"zmq", name)) for name in (b"alice", b"bob", b"carol"))
CLIENTS = (ALICE, BOB, CAROL)


def sends(client: ClientId, asked: Message) -> ClientSent:
    return ClientSent(at=0, client=client, channel=Channel.SHELL, message=asked)


def run(client: ClientId, *, subshell_id: str | None = None, **content: object) -> ClientSent:
    """A client runs a cell."""
    more = {"subshell_id": subshell_id} if subshell_id else {}
    return sends(client, message("execute_request", {"code": "1", **content}, **more))


def complete(client: ClientId) -> ClientSent:
    return sends(client, request("complete"))


def answer(event: ClientSent, status: str = "ok") -> Message:
    return message("execute_reply", {"status": status}, parent=event.message, session="kernel")


def queue(*events: ClientSent) -> tuple[Executions, list[ClientSent]]:
    """A queue that was handed these; what went to the kernel."""
    executions = Executions()
    return executions, [sent for event in events for sent in executions.submit(event)]


def events(executions: list[Execution]) -> list[ClientSent]:
    return [execution.event for execution in executions]


def test_one_cell_at_a_time_and_each_client_has_its_turn() -> None:
    a = [run(ALICE) for _ in range(3)]
    b, c = run(BOB), run(CAROL)
    executions, sent = queue(*a, b, c)
    order = []
    while sent:
        order += sent
        sent = executions.replied(sent[0].client, answer(sent[0])).sent
    assert order == [a[0], b, a[1], c, a[2]]
    assert len(executions) == 0


def test_what_comes_behind_an_own_cell_waits_and_what_does_not_goes_at_once() -> None:
    a = [run(ALICE), complete(ALICE), run(ALICE), complete(ALICE), complete(ALICE), run(ALICE)]
    b = complete(BOB)
    executions, sent = queue(*a, b)
    assert sent == [a[0], a[1], b], "what is behind a cell that runs waits in the kernel"
    assert executions.replied(ALICE, answer(a[0])).sent == a[2:5]
    assert executions.replied(ALICE, answer(a[2])).sent == a[5:]


def test_a_silent_cell_passes_other_clients_queues_but_no_own_cell() -> None:
    running, waiting = run(ALICE), run(BOB)
    silent, own, own_silent = run(CAROL, silent=True), run(BOB), run(BOB, silent=True)
    executions, sent = queue(running, waiting, own, own_silent, silent)
    assert sent == [running]
    assert executions.replied(ALICE, answer(running)).sent == [silent]
    assert executions.replied(CAROL, answer(silent)).sent == [waiting]
    assert executions.replied(BOB, answer(waiting)).sent == [own]
    assert executions.replied(BOB, answer(own)).sent == [own_silent]


def test_each_shell_has_its_queue() -> None:
    main, sub, waits = run(ALICE), run(ALICE, subshell_id="s"), run(BOB, subshell_id="s")
    executions, sent = queue(main, sub, waits)
    assert sent == [main, sub]
    assert executions.replied(ALICE, answer(main)).sent == []
    assert executions.replied(ALICE, answer(sub)).sent == [waits]


def test_an_error_takes_its_own_clients_cells_and_waits_for_the_idle() -> None:
    failing, own, asked, other = run(ALICE), run(ALICE), complete(ALICE), run(BOB)
    executions, _ = queue(failing, own, asked, other)
    step = executions.replied(ALICE, answer(failing, "error"))
    assert (events(step.aborted), step.sent) == ([own], [asked])
    assert step.aborted[0].end is End.ABORTED
    assert executions.submit(late := run(CAROL)) == [], "the kernel would throw it away"
    assert executions.idled(status("idle", failing.message)).sent == [other]
    assert executions.replied(BOB, answer(other)).sent == [late]


def test_where_the_idle_came_first_it_is_not_waited_for() -> None:
    failing, other = run(ALICE), run(BOB)
    executions, _ = queue(failing, other)
    assert executions.idled(status("idle", failing.message)).sent == []
    assert executions.replied(ALICE, answer(failing, "error")).sent == [other]


def test_where_it_never_comes_the_queue_goes_on() -> None:
    failing, other = run(ALICE), run(BOB)
    executions, _ = queue(failing, other)
    watched = executions.replied(ALICE, answer(failing, "error")).watch
    assert watched is not None
    assert executions.overdue(watched).sent == [other]
    assert watched.end is End.ERROR
    assert executions.overdue(watched) == Step()


def test_an_error_that_stops_nothing() -> None:
    for content in ({"stop_on_error": False}, {"silent": True}):
        failing, own = run(ALICE, **content), run(ALICE)
        executions, _ = queue(failing, own)
        step = executions.replied(ALICE, answer(failing, "error"))
        assert (step.aborted, step.sent) == ([], [own])


def test_who_interrupts_another_loses_its_own_cells_and_nobody_elses() -> None:
    loop, alices, bobs, carols = run(ALICE), run(ALICE), run(BOB), run(CAROL)
    executions, _ = queue(loop, alices, bobs, carols)
    executions.interrupted(CAROL)
    running = executions.running()
    step = executions.replied(ALICE, answer(loop, "error"))
    assert running is not None
    assert running.end is End.INTERRUPTED
    assert sorted(e.client for e in events(step.aborted)) == [ALICE, CAROL]
    assert executions.idled(status("idle", loop.message)).sent == [bobs]


def test_an_interrupt_of_nothing_is_forgotten() -> None:
    executions, _ = queue()
    executions.interrupted(BOB)
    executions.submit(failing := run(ALICE))
    executions.submit(waits := run(BOB))
    assert executions.replied(ALICE, answer(failing, "error")).aborted == []
    assert executions.idled(status("idle", failing.message)).sent == [waits]


def test_a_cell_that_the_kernel_threw_away_is_sent_again() -> None:
    cell, other = run(ALICE), run(BOB)
    executions, _ = queue(cell, other)
    for _ in range(MAX_SENT_AGAIN):
        step = executions.replied(ALICE, answer(cell, "aborted"))
        assert (step.sent_again, step.sent, step.aborted) == (True, [cell], [])
    running = executions.running()
    step = executions.replied(ALICE, answer(cell, "aborted"))
    assert not step.sent_again, "it does so for a reason of its own"
    assert running is not None
    assert running.end is End.ABORTED


def test_abort_is_what_irkernel_and_bash_say_of_one_that_ran() -> None:
    cell = run(ALICE)
    executions, _ = queue(cell)
    executions.interrupted(ALICE)
    assert not executions.replied(ALICE, answer(cell, "abort")).sent_again


def test_a_cell_whose_reply_is_lost() -> None:
    cell, other = run(ALICE), run(BOB)
    executions, _ = queue(cell, other)
    watched = executions.idled(status("idle", cell.message)).watch
    assert watched is not None
    assert executions.overdue(watched).sent == [other]
    assert (watched.state, watched.end) == (State.COMPLETE, End.LOST)
    assert executions.replied(ALICE, answer(cell)) == Step(), "too late"


def test_one_that_waits_can_be_cancelled() -> None:
    cell, waits, asked, next_one = run(ALICE), run(ALICE), complete(ALICE), run(ALICE)
    executions, _ = queue(cell, waits, asked, next_one)
    assert executions.cancel(BOB, waits.message.msg_id) == Step()
    assert executions.cancel(ALICE, cell.message.msg_id) == Step(), "it runs"
    step = executions.cancel(ALICE, waits.message.msg_id)
    assert (events(step.aborted), step.sent) == ([waits], [asked])
    assert executions.replied(ALICE, answer(cell)).sent == [next_one]


def test_a_client_that_left_leaves_no_cells() -> None:
    cell, bobs, subshell, bobs_too = (
        run(ALICE),
        run(BOB),
        run(ALICE, subshell_id="s"),
        run(BOB, subshell_id="s"),
    )
    executions, _ = queue(cell, bobs, subshell, bobs_too)
    assert events(executions.drop(BOB).aborted) == [bobs, bobs_too]
    assert executions.replied(ALICE, answer(cell)).sent == []
    assert executions.replied(ALICE, answer(subshell)).sent == []
    assert len(executions) == 0
    assert list(executions) == []


def test_with_the_kernel_all_goes() -> None:
    cell, bobs = run(ALICE), run(BOB)
    executions, _ = queue(cell, bobs)
    running = executions.running()
    assert events(executions.abandon().aborted) == [bobs]
    assert running is not None
    assert running.end is End.LOST
    assert executions.submit(after := run(CAROL)) == [after]


def test_odd_content_is_a_cell_like_others() -> None:
    cell = run(ALICE, silent="yes")
    executions, sent = queue(cell, run(BOB))
    assert sent == [cell]
    assert len(executions.replied(ALICE, answer(cell, status=7)).sent) == 1  # type: ignore[arg-type]


# Any order of things

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("submit"), st.integers(0, 2), st.sampled_from(["run", "silent", "ask"]),
            st.sampled_from([None, "s"]),
        ),
        st.tuples(st.just("end"), st.sampled_from(["ok", "error", "aborted"]), st.booleans()),
        st.tuples(st.just("interrupt"), st.integers(0, 2)),
        st.tuples(st.just("drop"), st.integers(0, 2)),
    ),
    max_size=60,
)  # fmt: skip


class World:
    """A queue and a kernel, both naive."""

    def __init__(self) -> None:
        self.executions = Executions()
        self.submitted: list[ClientSent] = []
        self.in_kernel: dict[str | None, deque[ClientSent]] = defaultdict(deque)
        self.settling: list[Execution] = []
        self.done: Counter[str] = Counter()
        self.order: dict[tuple[ClientId, str | None], list[str]] = defaultdict(list)

    def take(self, step: Step) -> None:
        for execution in step.aborted:
            assert execution.end is End.ABORTED
            self.done[execution.event.message.msg_id] += 1
        self.send(step.sent, again=step.sent_again)

    def send(self, sent: list[ClientSent], *, again: bool = False) -> None:
        for event in sent:
            header = event.message.header
            self.in_kernel[header.subshell_id].append(event)
            if not again:
                self.order[event.client, header.subshell_id].append(header.msg_id)
        for shell in self.in_kernel.values():
            cells = [e for e in shell if e.message.msg_type == "execute_request"]
            assert len(cells) <= 1, "one in flight"

    def kernel_answers(self, status_: str, idle_first: bool) -> None:
        shell = next((shell for shell in self.in_kernel.values() if shell), None)
        if shell is None:
            return
        event = shell[0]
        if event.message.msg_type != "execute_request":
            self.done[shell.popleft().message.msg_id] += 1
            return
        idle = status("idle", event.message)
        if idle_first:
            self.take(self.executions.idled(idle))
        shell.popleft()
        step = self.executions.replied(event.client, answer(event, status_))
        if not step.sent_again:
            self.done[event.message.msg_id] += 1
        self.take(step)
        if not idle_first and not step.sent_again:
            self.take(self.executions.idled(idle))


@given(STEPS)
def test_every_message_ends_once_in_its_clients_order(steps: list[tuple[object, ...]]) -> None:
    world = World()
    for what, *details in steps:
        if what == "submit":
            client, kind, subshell_id = details
            event = (
                sends(CLIENTS[client], message("complete_request", subshell_id=subshell_id))  # type: ignore[index]
                if kind == "ask"
                else run(CLIENTS[client], subshell_id=subshell_id, silent=kind == "silent")  # type: ignore[index, arg-type]
            )
            world.submitted.append(event)
            world.send(world.executions.submit(event))
        elif what == "end":
            world.kernel_answers(*details)  # type: ignore[arg-type]
        elif what == "interrupt":
            world.executions.interrupted(CLIENTS[details[0]])  # type: ignore[index]
        else:
            world.take(world.executions.drop(CLIENTS[details[0]]))  # type: ignore[index]
    while any(world.in_kernel.values()):
        world.kernel_answers("ok", idle_first=False)
    assert len(world.executions) == 0
    assert list(world.executions) == []
    assert world.done == Counter(event.message.msg_id for event in world.submitted)
    asked = [
        [e.message.msg_id for e in group]
        for _, group in itertools.groupby(sorted(world.submitted, key=_lane), key=_lane)
    ]
    for ids in asked:
        sent = next((order for order in world.order.values() if set(order) & set(ids)), [])
        assert sent == [msg_id for msg_id in ids if msg_id in set(sent)], "in order"


def _lane(event: ClientSent) -> tuple[bytes, str]:
    return event.client[-1], event.message.header.subshell_id or ""
