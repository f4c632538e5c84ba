"""Subshells: many for the clients, few in the kernel."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from proxy.message import ClientId, MsgId
from proxy.session.subshells import MAX_REAL, Deleted, Subshells

LAB, QT, CONSOLE = (ClientId((b"zmq", name)) for name in (b"lab", b"qtconsole", b"console"))


numbers = itertools.count()


def create(subshells: Subshells, client: ClientId) -> str:
    """A client asks for one, and the kernel, where it is asked, has one."""
    number = next(numbers)
    msg_id = MsgId(str(number))
    given = subshells.create(client, msg_id)
    if given is None:
        given = f"s{number}"
        assert not subshells.created(client, msg_id, given)
    return given


def test_each_has_its_own_while_there_are_few() -> None:
    subshells = Subshells()
    given = [create(subshells, client) for client in (LAB, LAB, QT, CONSOLE)]
    assert len(set(given)) == 4
    assert subshells.all_used
    assert subshells.used() == given


def test_past_the_limit_they_are_shared_and_none_has_one_twice_that_could_have_two() -> None:
    subshells = Subshells()
    clients = [ClientId((b"zmq", str(n).encode())) for n in range(20)]
    given = [(create(subshells, client), create(subshells, client)) for client in clients]
    assert all(first != second for first, second in given)
    assert len({i for pair in given for i in pair}) == len(subshells) == MAX_REAL


def test_what_one_of_two_deletes_the_other_still_has() -> None:
    subshells = Subshells()
    for _ in range(MAX_REAL):
        shared = create(subshells, LAB)
    shared = create(subshells, QT)
    assert subshells.delete(LAB, shared) is Deleted.HERE
    assert shared in subshells.used()
    assert subshells.delete(LAB, shared) is Deleted.UNKNOWN, "it is not LAB's any more"
    assert subshells.delete(QT, shared) is Deleted.BY_KERNEL


def test_one_that_nobody_else_has_is_for_the_kernel_to_delete() -> None:
    subshells = Subshells()
    own = create(subshells, LAB)
    assert subshells.delete(QT, own) is Deleted.UNKNOWN
    assert subshells.delete(LAB, own) is Deleted.BY_KERNEL
    assert len(subshells) == 0
    assert subshells.delete(LAB, "never heard of") is Deleted.BY_KERNEL, "it knows what to say"


def test_one_that_a_comm_published_on_is_kept_for_the_next_client() -> None:
    """ipykernel 7.4 sends the comm's messages there, whosever they are."""
    subshells = Subshells()
    own = create(subshells, LAB)
    subshells.published("slider", own)
    assert subshells.delete(LAB, own) is Deleted.HERE
    assert subshells.is_unused(own)
    assert not subshells.all_used
    assert subshells.used() == []
    assert create(subshells, QT) == own
    assert not subshells.is_unused(own)


def test_it_goes_when_the_comm_is_closed_or_publishes_elsewhere() -> None:
    for goes in ("closed", "elsewhere"):
        subshells = Subshells()
        own = create(subshells, LAB)
        subshells.published("slider", own)
        subshells.published("text", own)
        subshells.delete(LAB, own)
        assert subshells.closed("text") == []
        if goes == "closed":
            assert subshells.closed("slider") == [own]
        else:
            assert subshells.published("slider", own) == []
            assert subshells.published("slider", None) == [own]
        assert len(subshells) == 0


def test_what_a_client_leaks_is_collected_when_it_is_gone() -> None:
    """JupyterLab deletes nothing when a window is closed."""
    subshells = Subshells()
    leaked = [create(subshells, LAB) for _ in range(3)]
    subshells.published("slider", leaked[1])
    assert subshells.left(LAB) == [leaked[0], leaked[2]]
    assert subshells.is_unused(leaked[1])
    assert subshells.closed("slider") == [leaked[1]]


def test_one_that_comes_when_its_client_is_gone_is_not_wanted() -> None:
    subshells = Subshells()
    assert subshells.create(LAB, MsgId("1")) is None
    assert subshells.left(LAB) == []
    assert subshells.created(LAB, MsgId("1"), "s")
    assert len(subshells) == 0


def test_a_kernel_that_has_none_to_give_leaves_room_for_the_next_wish() -> None:
    subshells = Subshells()
    for number in range(3 * MAX_REAL):
        assert not subshells.must_wait
        assert subshells.create(LAB, MsgId(str(number))) is None
        assert not subshells.created(LAB, MsgId(str(number)), None)
    assert len(subshells) == 0


def test_before_the_first_answers_more_than_the_limit_must_wait() -> None:
    subshells = Subshells()
    for number in range(MAX_REAL):
        assert subshells.create(LAB, MsgId(str(number))) is None
    assert subshells.must_wait
    subshells.created(LAB, MsgId("0"), "s")
    assert not subshells.must_wait
    assert subshells.create(QT, MsgId("8")) == "s"


wishes = st.tuples(
    st.sampled_from(["create", "delete", "leave", "publish", "close"]),
    st.sampled_from([LAB, QT, CONSOLE]),
    st.sampled_from("abc"),
    st.integers(0, 9),
)


@given(st.lists(wishes, max_size=60))
def test_nothing_is_deleted_that_a_client_or_a_comm_needs(
    steps: list[tuple[str, ClientId, str, int]],
) -> None:
    subshells = Subshells()
    has: dict[ClientId, list[str]] = {LAB: [], QT: [], CONSOLE: []}
    last_on: dict[str, str | None] = {}
    alive: set[str] = set()
    for what, client, comm_id, number in steps:
        deleted: list[str] = []
        mine = has[client]
        if what == "create":
            mine.append(create(subshells, client))
            alive.add(mine[-1])
        elif what == "delete" and mine:
            subshell_id = mine.pop(number % len(mine))
            if subshells.delete(client, subshell_id) is Deleted.BY_KERNEL:
                deleted = [subshell_id]
        elif what == "leave":
            mine.clear()
            deleted = subshells.left(client)
        elif what == "publish":
            last_on[comm_id] = sorted(alive)[number % len(alive)] if alive and number else None
            deleted = subshells.published(comm_id, last_on[comm_id])
        elif what == "close":
            last_on.pop(comm_id, None)
            deleted = subshells.closed(comm_id)
        needed = {i for owned in has.values() for i in owned} | set(last_on.values())
        assert not needed & set(deleted)
        alive -= set(deleted)
        assert alive == needed - {None}, "and nothing is kept that nobody needs"
        assert len(alive) <= MAX_REAL
