"""The kernel's life, against the table in the docstring."""

from __future__ import annotations

import re

import pytest

from proxy.session import lifecycle
from proxy.session.lifecycle import (
    RESTART_LIMIT,
    RESTART_WINDOW_SECONDS,
    Happening,
    Lifecycle,
    Policy,
    State,
)

COLUMNS: dict[str, Happening] = {
    "launched": "launched",
    "proven": "proven",
    "died, may restart": "died",
    "died, may not": "died for good",
    "restart": "restart",
    "end": "end",
}


def table() -> dict[tuple[State, Happening], State]:
    """The docstring's table: one row for each state, cells by the place of their heading."""
    lines = (lifecycle.__doc__ or "").splitlines()
    start = next(at for at, line in enumerate(lines) if line.split()[:2] == ["state", "launched"])
    places = {m.group(): m.start() for m in re.finditer(r"\S+( \S+)*", lines[start])}
    rows: dict[tuple[State, Happening], State] = {}
    for line in lines[start + 1 :]:
        cells = line.split()
        if not cells:
            break
        state = State[cells[0]]
        for name, happening in COLUMNS.items():
            cell = line[places[name] :].split()[0]
            rows[state, happening] = state if cell == "-" else State[cell]
    return rows


TABLE = table()


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(state, happening) for state in State for happening in COLUMNS.values()}


@pytest.mark.parametrize(("state", "happening"), TABLE)
def test_each_transition_is_that_of_the_table(state: State, happening: Happening) -> None:
    life = Lifecycle(Policy())
    life.state = state
    changed = life.happen(happening)
    assert life.state is TABLE[state, happening]
    assert changed == (state is not life.state)


@pytest.mark.parametrize("state", State)
def test_requests_are_held_while_a_kernel_is_on_its_way(state: State) -> None:
    life = Lifecycle(Policy())
    life.state = state
    assert life.holds == (state in (State.LAUNCHING, State.STARTING, State.RESTARTING))


def test_it_knows_whether_any_kernel_was_ever_ready() -> None:
    life = Lifecycle(Policy())
    life.happen("launched")
    assert not life.was_ready
    life.happen("proven")
    assert life.was_ready
    life.die("it was killed", at=0)
    assert life.was_ready
    assert life.cause == "it was killed"


@pytest.mark.parametrize("limit", [0, 1, RESTART_LIMIT])
def test_as_many_deaths_in_a_row_as_the_policy_allows(limit: int) -> None:
    life = Lifecycle(Policy(restart_limit=limit))
    for death in range(limit):
        assert life.die("it was killed", at=float(death)), death
        life.happen("launched")
        life.happen("proven")
    assert not life.die("it was killed", at=float(limit))
    assert life.state is State.DEAD


def test_deaths_count_while_they_are_no_further_apart_than_the_window() -> None:
    at_the_edge, outside = Lifecycle(Policy(restart_limit=1)), Lifecycle(Policy(restart_limit=1))
    for life in (at_the_edge, outside):
        assert life.die("it was killed", at=1000)
        life.happen("launched")
    assert not at_the_edge.die("it was killed", at=1000 + RESTART_WINDOW_SECONDS)
    assert outside.die("it was killed", at=1000.1 + RESTART_WINDOW_SECONDS)


def test_where_death_ends_the_session_nothing_is_restarted() -> None:
    life = Lifecycle(Policy(on_death="end"))
    assert not life.die("it was killed", at=0)
    assert life.state is State.DEAD


def test_the_death_of_a_kernel_that_was_to_end_is_its_end() -> None:
    life = Lifecycle(Policy())
    life.happen("end")
    assert not life.die("the kernel exited with status 0", at=0)
    assert life.state is State.ENDING
