"""A process that keeps a record until it is killed, and says what it has promised.

    python -m tests.record.keeper DIRECTORY

For each line on its input, a seed, it starts a child, which goes on with the record; Python and
Automerge are loaded only once. The child prints its pid and then its promises, each when the call
has returned that makes it one, and ahead of the call what it is about to do; the parent prints
"gone" when the child is.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from proxy.record.document import ROOT, Document
from proxy.record.files import RecordFiles

BLOBS = 8
"""How many blobs the document names."""
LARGE = 200_000
"""Bytes that take a while to be written."""
CALLS = ("append", "append large", "put", "begin", "collect")


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


class Keeper:
    """Does at random what a recorder does."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.files = RecordFiles(directory)
        found = self.files.load()
        for path in found.damaged:
            say(f"damaged {path.name}")
        self.count, self.named = 0, dict[str, str]()
        if found.document is not None:
            tree = found.document.read()
            self.count = int(str(tree["count"]))
            self.named = {key: str(value) for key, value in tree.items() if key[0] == "b"}
            self.document = found.document
        else:
            self.begin_epoch()

    def change(self) -> None:
        before = self.document.heads
        (length,) = self.random.choices([10, 3000, LARGE], [5, 2, 1])
        blob = self.put_blob() if self.random.random() < 0.3 else None
        with self.document.write() as writer:
            writer.put(ROOT, "count", self.count + 1)
            writer.put(ROOT, "value", self.random.randbytes(length))
            if blob:
                writer.put(ROOT, f"blob {self.count % BLOBS}", blob)
                self.named[f"blob {self.count % BLOBS}"] = blob
        changes = self.document.changes_since(before)
        say("now append large" if length == LARGE else "now append")
        self.files.append(changes)
        self.count += 1
        say(f"count {self.count}")

    def put_blob(self) -> str:
        length = self.random.choice([10, 1000, 100_000])
        media_type = self.random.choice(["image/png", "text/plain"])
        content = self.random.randbytes(length) if self.random.random() < 0.8 else b"often"
        say("now put")
        name = self.files.blobs.put(content, media_type)
        say(f"blob {name}")
        return name

    def begin_epoch(self) -> None:
        self.document = Document()
        with self.document.write() as writer:
            writer.put(ROOT, "count", self.count)
            for key, value in self.named.items():
                writer.put(ROOT, key, value)
        root, number = Document(), self.files.next_epoch
        with root.write() as writer:
            writer.put(ROOT, "epoch", number)
        say("now begin")
        self.files.begin_epoch(number, self.document.save(), root.save())
        say(f"epoch {number}")

    def collect(self) -> None:
        say("now collect")
        self.files.collect(set(self.named.values()))

    def keep_on(self) -> None:
        while True:
            (do,) = self.random.choices(
                [self.change, self.begin_epoch, self.files.sync, self.collect], [8, 2, 1, 1]
            )
            do()
            if self.files.log_bytes > 2 * LARGE:
                self.begin_epoch()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                say(f"pid {os.getpid()}")
                Keeper(Path(sys.argv[1]), int(line)).keep_on()
            finally:  # a traceback is for the test to see, and no child is to read the next line
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                os._exit(1)
        _, status = os.waitpid(child, 0)
        say("gone" if os.WTERMSIG(status) == signal.SIGKILL else f"ended with status {status}")


if __name__ == "__main__":
    main()
