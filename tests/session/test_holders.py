"""Whose comm_close the kernel hears."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.message import ClientId
from proxy.session.holders import REFLEX_SECONDS, Holders

LAB, QT, CONSOLE = (ClientId((b"zmq", name)) for name in (b"lab", b"qtconsole", b"console"))
LATER = 100.0


def holders(*clients: ClientId) -> Holders:
    """These are attached, and the kernel opens comm "1"."""
    holders = Holders()
    for client in clients:
        holders.attached(client, 0)
    holders.opened("1", None, 1)
    return holders


def test_qtconsoles_refusal_closes_nothing_with_jupyterlab_there() -> None:
    there = holders(LAB, QT)
    there.used("1", LAB)
    assert not there.closes("1", QT, 1.1)
    assert not there.closes("1", QT, LATER), "not when it says so again either"
    assert there.closes("1", LAB, LATER), "the last one that holds it"


def test_nor_where_it_is_alone() -> None:
    """JupyterLab may come later, and finds a slider that works."""
    assert not holders(QT).closes("1", QT, 1.1)


def test_one_that_is_shown_and_alone_and_takes_its_time_means_it() -> None:
    assert holders(LAB).closes("1", LAB, 1 + REFLEX_SECONDS)


def test_one_that_was_shown_it_keeps_it_open_for_itself() -> None:
    there = holders(LAB, CONSOLE)
    there.used("1", CONSOLE)
    assert not there.closes("1", CONSOLE, LATER)
    there = holders(LAB)
    there.attached(CONSOLE, 50)
    assert there.closes("1", LAB, LATER), "who came later was not shown it"


def test_a_late_joiner_holds_what_it_asked_for() -> None:
    there = holders(LAB)
    there.attached(CONSOLE, 50)
    there.used("1", CONSOLE)
    assert not there.closes("1", LAB, LATER)
    assert there.left(CONSOLE) == ["1"], "somebody wanted it closed, and nobody is left"


def test_what_nobody_closed_stays_when_all_have_left() -> None:
    there = holders(LAB, QT)
    there.used("1", LAB)
    assert not there.closes("1", QT, 1.1), "a reflex is no wish"
    assert there.left(QT) == []
    assert there.left(LAB) == []


def test_who_opened_it_closes_it() -> None:
    there = holders(LAB, QT)
    there.opened("2", QT, 2)
    there.used("2", LAB)
    assert there.closes("2", QT, 2.1)


def test_a_comm_whose_opener_is_gone_and_that_nobody_holds_is_an_orphan() -> None:
    there = Holders()
    there.attached(LAB, 0)
    there.opened("2", LAB, 1)
    there.opened("3", LAB, 1)
    there.opened("4", None, 1)
    there.used("3", QT)
    assert there.left(LAB) == ["2"]


def test_one_that_comes_back_holds_what_it_held() -> None:
    there = holders(LAB, CONSOLE)
    there.attached(LAB, 50)
    assert not there.closes("1", CONSOLE, LATER)


def test_what_is_closed_is_the_kernels_business() -> None:
    there = holders(LAB)
    there.closed("1")
    assert there.closes("1", LAB, LATER)
    assert len(there) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["attach", "leave", "open", "use", "close"]),
            st.sampled_from([LAB, QT, CONSOLE]),
            st.sampled_from("12"),
        ),
        max_size=40,
    )
)
def test_nothing_is_closed_under_one_that_used_it(
    steps: list[tuple[str, ClientId, str]],
) -> None:
    there = Holders()
    uses: dict[str, set[ClientId]] = {}
    openers: dict[str, ClientId | None] = {}
    unwanted: set[str] = set()
    for at, (what, client, comm_id) in enumerate(steps):
        if what == "attach":
            there.attached(client, at)
        elif what == "leave":
            for orphan in there.left(client):
                assert not uses[orphan] - {client}
                assert openers[orphan] == client or orphan in unwanted
            for users in uses.values():
                users.discard(client)
        elif what == "open":
            openers[comm_id] = client if at % 2 else None
            uses[comm_id] = {client} if at % 2 else set()
            there.opened(comm_id, openers[comm_id], at)
            unwanted.discard(comm_id)
        elif what == "use":
            if comm_id in uses:
                uses[comm_id].add(client)
            there.used(comm_id, client)
        elif there.closes(comm_id, client, at) and comm_id in uses:
            assert openers[comm_id] == client or not uses[comm_id] - {client}
            there.closed(comm_id)
            del uses[comm_id], openers[comm_id]
        elif comm_id in uses:
            uses[comm_id].discard(client)
            unwanted.add(comm_id)
