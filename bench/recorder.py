"""kmux, with a session that keeps what it is handed.

``python -m bench.recorder KERNEL FRONTEND_FILE RECORDING_FILE``: everything is as with ``kmux
run``, real sockets and a real kernel. SIGTERM ends it; then it writes the recording.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from bench.recording import Recording
from proxy import hosting, standard
from proxy.session.commands import Command
from proxy.session.events import Event
from proxy.session.lifecycle import Policy
from proxy.session.session import Session

_recordings: list[Recording] = []


class _RecordedSession(Session):
    def __init__(self, ident: str, policy: Policy | None = None, *, records: bool = False) -> None:
        super().__init__(ident, policy, records=records)
        self._recording = Recording(ident, policy, records)
        _recordings.append(self._recording)

    def handle(self, event: Event) -> list[Command]:
        commands = super().handle(event)
        self._recording.add(event, commands)
        return commands


def main() -> None:
    kernel, frontend_file, recording_file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    vars(hosting)["Session"] = _RecordedSession  # what a session that is hosted has one of
    trio.run(standard.run, standard.Options(kernel=kernel, connection_file=frontend_file))
    _recordings[0].write(recording_file)


if __name__ == "__main__":
    main()
