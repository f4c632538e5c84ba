"""Garbage on every port of a real kmux: counted in its log, and nobody beside it notices."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator

import pytest
import zmq

from tests.frontends.kmux_process import Kmux, Workplace, until

pytestmark = pytest.mark.timeout(600)

DELIMITER = b"<IDS|MSG>"
HEADER = json.dumps({"msg_id": "m", "msg_type": "execute_request", "session": "s"}).encode()


def bad_messages(count: int) -> Iterator[list[bytes]]:
    """Multipart messages that are wrong in every way there is, none of them rightly signed."""
    chance = random.Random(count)  # the same on every run
    for number in range(count):
        noise = chance.randbytes(chance.randrange(1, 200))
        yield [
            [noise],
            [b""] * chance.randrange(1, 30),
            [chance.randbytes(9) for _ in range(chance.randrange(1, 12))],
            [DELIMITER],
            [DELIMITER, noise, noise],
            [DELIMITER, b"0" * 64, HEADER, b"{}", b"{}", b"{}"],
            [DELIMITER, b"", HEADER, b"{}", b"{}", b'{"code": "raise SystemExit"}'],
            [DELIMITER, b"0" * 64, noise, noise, noise, noise, noise],
            [DELIMITER, b"0" * 64, b"x" * 40_000, b"{}", b"{}", b"{}"],
        ][number % 9]


def test_bad_messages_are_counted_and_nobody_notices(workplace: Workplace) -> None:
    count = 100_000
    with workplace.run() as kmux, zmq.Context() as context:
        client = kmux.client()
        info = json.loads(kmux.file.read_text())
        dealers = []
        for channel in ("shell", "control", "stdin"):
            dealer = context.socket(zmq.DEALER)
            dealer.connect(f"tcp://127.0.0.1:{info[f'{channel}_port']}")
            dealers.append(dealer)
        for number, frames in enumerate(bad_messages(count)):
            dealers[number % 3].send_multipart(frames)
            if number % (count // 3) == 0:
                assert client.run("print('undisturbed')")["status"] == "ok"
                assert client.text() == "undisturbed\n"

        def rejected() -> int:
            return sum(event["count"] for event in kmux.events("frames.rejected"))

        until(lambda: rejected() == count, f"{count} are counted, and not {rejected()}", 60)
        assert client.run("1")["status"] == "ok"
        assert len(kmux.events("frames.rejected")) < 200, "the log is not filled"
        assert not kmux.events("internal.error")
        for dealer in dealers:
            dealer.close(linger=0)


def test_connections_that_are_no_zmq(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        client = kmux.client()
        for port in ports(kmux):
            for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, b"\xff" + bytes(range(256))):
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(junk)
        half_open = [socket.create_connection(("127.0.0.1", port)) for port in ports(kmux) * 10]
        assert client.run("print('undisturbed')")["status"] == "ok"
        assert client.text() == "undisturbed\n"
        for connection in half_open:
            connection.close()
        assert not kmux.events("internal.error")


def ports(kmux: Kmux) -> list[int]:
    info = json.loads(kmux.file.read_text())
    return [value for name, value in info.items() if name.endswith("_port")]
