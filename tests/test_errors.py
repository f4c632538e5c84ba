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
