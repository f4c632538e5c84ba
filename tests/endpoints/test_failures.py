"""What errors are to clients, and which are to be looked into."""

from __future__ import annotations

import json

import pytest

from proxy import errors
from proxy.endpoints.failures import innermost, is_ours, response_to
from proxy.errors import ConfigError, Conflict, InternalError, KernelGone, KmuxError, StoreError


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type)],
)
def test_each_kind_has_its_status_and_its_line(kind: type[KmuxError]) -> None:
    response = response_to(kind('do "this"'))
    assert response.status == kind.status
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {"message": 'do "this"', "reason": kind.__name__}


def test_an_error_may_have_a_status_of_its_own() -> None:
    error = ConfigError("it is too large")
    error.status = 413
    assert response_to(error).status == 413


def test_a_bug_tells_nothing_of_itself() -> None:
    response = response_to(ZeroDivisionError("/root/secret"))
    assert response.status == 500
    assert isinstance(response.body, bytes)
    assert b"secret" not in response.body
    assert json.loads(response.body)["reason"] == "InternalError"


def test_what_the_asker_can_help_needs_no_looking_into() -> None:
    for error in (ConfigError("x"), Conflict("x"), KernelGone("x")):
        assert not is_ours(error)
    for bug in (ZeroDivisionError(), InternalError("x"), StoreError("x"), KmuxError("x")):
        assert is_ours(bug)


def test_groups_around_an_error_are_taken_off() -> None:
    error = ConfigError("x")
    group = ExceptionGroup("", [ExceptionGroup("", [error, ValueError()]), KeyError()])
    assert innermost(group) is error
    assert innermost(error) is error
