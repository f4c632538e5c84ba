"""The error tree is what the command line and the log rely on."""

from __future__ import annotations

import inspect

from proxy import errors
from proxy.errors import (
    ClientProtocolError,
    ConfigError,
    InternalError,
    KernelGone,
    KernelProtocolError,
    KmuxError,
    ProtocolError,
    StoreError,
    kind_of,
    of_kind,
)

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_all_are_one_tree_and_none_exits_with_success() -> None:
    assert all(issubclass(kind, KmuxError) for kind in TREE)
    assert all(0 < kind.exit_code < 126 for kind in TREE), "126 and up are the shell's"


def test_who_reads_the_exit_code_knows_whose_fault_it_was() -> None:
    codes = [kind.exit_code for kind in (ConfigError, KernelGone, StoreError, InternalError)]
    assert len(set(codes)) == 4


def test_a_protocol_error_of_one_side_is_not_the_others() -> None:
    assert issubclass(ClientProtocolError, ProtocolError)
    assert issubclass(KernelProtocolError, ProtocolError)
    assert not issubclass(ClientProtocolError, KernelProtocolError)


def test_over_http_it_is_told_whose_fault_it_is() -> None:
    assert all(400 <= kind.status < 600 for kind in TREE)
    for kind in (ConfigError, ClientProtocolError):
        assert kind.status < 500
    for kind in (KernelGone, StoreError, InternalError, KernelProtocolError):
        assert kind.status >= 500


def test_an_error_survives_a_wire() -> None:
    for kind in TREE:
        again = of_kind(kind_of(kind("choose another")), "choose another")
        assert type(again) is kind
        assert str(again) == "choose another"


def test_a_kind_of_elsewhere_is_the_nearest_one_here() -> None:
    class NameTaken(ConfigError): ...

    assert kind_of(NameTaken("x")) == "ConfigError"


def test_what_names_no_kind_is_none() -> None:
    for name in ("", "Not Found", "Exception", "kind_of", "__doc__", "KmuxErr"):
        assert of_kind(name, "x") is None
