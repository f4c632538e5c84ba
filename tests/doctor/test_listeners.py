"""Who listens on which port: real sockets."""

from __future__ import annotations

import os
import socket

import pytest

from proxy.doctor.listeners import Listener, holder, listeners


@pytest.mark.parametrize("ip", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_listener_is_found_with_its_process(ip: str) -> None:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family) as mine:
        mine.bind((ip, 0))
        port = mine.getsockname()[1]
        assert not [each for each in listeners() if each.port == port], "it is bound only"
        mine.listen()
        (found,) = [each for each in listeners() if each.port == port]
        assert found.ip == ip
        assert holder(found) == os.getpid()
    assert not [each for each in listeners() if each.port == port]
    assert holder(found) is None


def test_which_addresses_exclude_each_other() -> None:
    one = Listener("127.0.0.1", 7, "")
    assert one.has("127.0.0.1", 7)
    assert one.has("localhost", 7)
    assert one.has("*", 7)
    assert not one.has("127.0.0.1", 8)
    assert not one.has("127.0.0.2", 7)
    assert Listener("0.0.0.0", 7, "").has("127.0.0.1", 7)
