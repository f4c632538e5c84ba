"""Many WebSocket clients of one kernel, in processes as those of ``bench/subscribers.py``.

They take the same orders, and answer the same.
"""

from __future__ import annotations

import json
import secrets
import select
import sys
import time
from typing import Any

from bench import messages
from bench.subscribers import SILENCE_SECONDS
from bench.web_client import connect

MODULE = "bench.web_subscribers"
_IDLE = b'"idle"'


class _Subscriber:
    """One WebSocket, and what it has heard. Messages are looked into, and not taken apart."""

    def __init__(self, url: str, token: str, msg_id: bytes) -> None:
        self.socket = connect(url, token, secrets.token_hex(16))
        self.heard_anything = False
        self.received = 0
        self.last = -1
        self.done = False
        self._msg_id = msg_id

    def drain(self) -> None:
        """Take in what the system has, up to a turn."""
        for payload in self.socket.take():
            self.heard_anything = True
            number = messages.number_of(payload)
            if number is None:
                self.done |= _IDLE in payload and self._msg_id in payload
            elif number > self.last:
                self.received += 1
                self.last = number


def _obey(order: dict[str, Any]) -> None:
    msg_id = order["msg_id"].encode()
    subscribers = [
        _Subscriber(order["url"], order["token"], msg_id) for _ in range(order["sockets"])
    ]
    poll = select.poll()
    by_number = {subscriber.socket.fileno(): subscriber for subscriber in subscribers}
    for number in by_number:
        poll.register(number, select.POLLIN)
    ready = False
    while not all(subscriber.done for subscriber in subscribers):
        events = poll.poll(SILENCE_SECONDS * 1000)
        if not events:
            sys.exit("nothing was heard any more")
        for number, _ in events:
            by_number[number].drain()
        if not ready and all(subscriber.heard_anything for subscriber in subscribers):
            ready = True
            print('"ready"', flush=True)
    finished = time.monotonic()
    for subscriber in subscribers:
        subscriber.socket.close()
    numbers = [[subscriber.received, subscriber.last] for subscriber in subscribers]
    print(json.dumps({"numbers": numbers, "finished": finished}), flush=True)


def main() -> None:
    for line in sys.stdin:
        _obey(json.loads(line))


if __name__ == "__main__":
    main()
