from __future__ import annotations

import pytest

from proxy.environments.deno_permissions import start_code
from proxy.errors import ConfigError


@pytest.mark.parametrize("permissions", [None, (), ("-A",), ("--allow-all", "--allow-net")])
def test_nothing_is_taken_away(permissions: tuple[str, ...] | None) -> None:
    assert start_code(permissions) == ""


@pytest.mark.parametrize(
    ("permissions", "revoked"),
    [
        (("--allow-net",), '["read", "write", "env", "sys", "run", "ffi"]'),
        (("--allow-read", "--allow-net"), '["write", "env", "sys", "run", "ffi"]'),
        (("-A", "--deny-run"), '["run"]'),
        (("--allow-all", "--deny-import"), '["import"]'),
        (("--allow-net", "--deny-net"), '["read", "write", "net", "env", "sys", "run", "ffi"]'),
    ],
)
def test_what_is_not_allowed_is_taken_away(permissions: tuple[str, ...], revoked: str) -> None:
    assert f"of {revoked})" in start_code(permissions)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--allow-net=a.org", "say --allow-net, or leave it out"),
        ("--allow-everything", "'--allow-everything' is none"),
        ("net", "'net' is none"),
        ("--unstable", "'--unstable' is none"),
    ],
)
def test_what_cannot_be_done_is_said(option: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        start_code(["--allow-read", option])
