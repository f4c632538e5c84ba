"""Ids of kernels, and notebooks on them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from proxy.daemon import attachments
from proxy.daemon.attachments import Attachments, own_id
from proxy.daemon.sessions import Sessions
from proxy.daemon.state import NotebookState, SessionState
from proxy.errors import Conflict, NotFound


def session(name: str) -> Any:
    """As much of a session as there is to an id."""
    live = SimpleNamespace(
        name=name,
        state=SessionState(id=name, name=name, kernel_name="python3", key="k", identity="i"),
        hosted=SimpleNamespace(runner=SimpleNamespace(has_ended=False)),
    )

    def keep(**fields: object) -> None:
        state = msgspec.structs.replace(live.state, **fields)
        live.state = msgspec.json.decode(msgspec.json.encode(state), type=SessionState)

    live.keep = keep
    return live


@pytest.fixture
def lives() -> list[Any]:
    return [session("one"), session("two")]


@pytest.fixture
def known(lives: list[Any]) -> Attachments:
    return Attachments(cast("Sessions", SimpleNamespace(all=lambda: lives)))


def test_a_sessions_own_id_is_the_same_in_each_daemon(lives: list[Any]) -> None:
    assert own_id(lives[0]) == own_id(session("one"))
    assert own_id(lives[0]) != own_id(lives[1])


def test_an_alias_is_another_id_and_only_it_is_given_back(
    known: Attachments, lives: list[Any]
) -> None:
    one, two = lives
    alias = known.attach(one)
    assert known.find(alias) is known.find(own_id(one)) is one
    assert [live for _, live in known.all()] == [one, one, two]
    known.detach(own_id(one))
    assert known.find(own_id(one)) is one
    known.detach(alias)
    with pytest.raises(NotFound):
        known.find(alias)
    with pytest.raises(NotFound):
        known.detach(alias)


def test_a_session_that_is_over_is_nobodys_kernel(known: Attachments, lives: list[Any]) -> None:
    """What is left of it is written down for a moment."""
    alias = known.attach(lives[0])
    lives[0].hosted.runner.has_ended = True
    assert [live for _, live in known.all()] == [lives[1]]
    with pytest.raises(NotFound):
        known.find(alias)


def test_aliases_have_a_bound(
    known: Attachments, lives: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MAX_ALIASES", 2)
    known.attach(lives[0])
    known.attach(lives[0])
    with pytest.raises(Conflict, match="delete some"):
        known.attach(lives[0])
    known.attach(lives[1])


def test_notebooks_have_a_bound(
    known: Attachments, lives: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MAX_NOTEBOOKS", 1)
    notebook = NotebookState(id="n", kernel_id=own_id(lives[0]), path="a.ipynb")
    known.put(notebook)
    known.put(msgspec.structs.replace(notebook, path="b.ipynb"))
    with pytest.raises(Conflict, match="delete some"):
        known.put(msgspec.structs.replace(notebook, id="m"))


def test_a_notebook_is_with_the_session_of_its_kernel(known: Attachments, lives: list[Any]) -> None:
    one, two = lives
    notebook = NotebookState(id="n", kernel_id=own_id(one), path="a.ipynb")
    known.put(notebook)
    moved = NotebookState(id="n", kernel_id=known.attach(two), path="b.ipynb")
    known.put(moved)
    assert list(known.notebooks()) == [(moved, two)]
    assert known.notebook("n") == (moved, two)
    known.detach(moved.kernel_id)
    with pytest.raises(NotFound):
        known.notebook("n")
    with pytest.raises(NotFound):
        known.remove("n")
    with pytest.raises(NotFound):
        known.put(moved)
