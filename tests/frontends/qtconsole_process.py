"""The program that ``jupyter qtconsole --existing FILE`` is, with strings on it: JSON lines.

In, one order a line: ``{"execute": code}``, ``{"type": text}`` (keys, and Enter),
``{"kernel_info": null}``, ``{"screen": null}``. Out, by ``said``: "lacking" (and it ends: Qt does
not run here), "started", "sent" and "received" for each message, "screen". It ends when its stdin
does. Tests run this file and do not import it: Qt stays out of their process.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

try:
    from PyQt5 import QtCore, QtTest, QtWidgets  # noqa: F401  (says what it lacks, unlike qtpy)
    from qtconsole.qtconsoleapp import JupyterQtConsoleApp

    # Qt has its own libraries in its wheel, and aborts where it cannot load this one.
    plugins = Path(QtCore.QLibraryInfo.location(QtCore.QLibraryInfo.PluginsPath))
    ctypes.CDLL(str(plugins / "platforms" / "libqoffscreen.so"))
except (ImportError, OSError) as error:
    print(json.dumps({"said": "lacking", "what": str(error)}), flush=True)
    sys.exit(1)


class Puppet:
    """qtconsole, and the strings on it."""

    def __init__(self, connection_file: str) -> None:
        self._saying = threading.Lock()
        self._unread = b""
        self._app = JupyterQtConsoleApp()
        self._app.initialize(["--existing", connection_file])
        self._widget, self._client = self._app.widget, self._app.kernel_client
        self._watch_what_it_sends()
        for channel in ("shell", "iopub", "stdin"):
            received = getattr(self._client, f"{channel}_channel").message_received
            received.connect(lambda message: self._say_message("received", message))
        self._input = QtCore.QSocketNotifier(sys.stdin.fileno(), QtCore.QSocketNotifier.Read)
        self._input.activated.connect(self._read)

    def run(self) -> None:
        """Show the window and be qtconsole, until stdin ends."""
        self._say(said="started")
        self._app.start()
        self._client.stop_channels()

    def _watch_what_it_sends(self) -> None:
        send = self._client.session.send

        def send_and_say(stream: Any, message: dict[str, Any], *more: Any, **options: Any) -> Any:
            sent = send(stream, message, *more, **options)
            self._say_message("sent", message)
            return sent

        self._client.session.send = send_and_say  # called in the thread of the channels

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            ((order, argument),) = json.loads(line).items()
            getattr(self, f"_do_{order}")(argument)
        if not data:
            self._app.app.quit()

    def _do_execute(self, code: str) -> None:
        self._widget.execute(code)

    def _do_type(self, text: str) -> None:
        QtTest.QTest.keyClicks(self._widget._control, text)
        QtTest.QTest.keyClick(self._widget._control, QtCore.Qt.Key_Return)

    def _do_kernel_info(self, _: None) -> None:
        self._client.kernel_info()

    def _do_screen(self, _: None) -> None:
        self._say(said="screen", text=self._widget._control.toPlainText())

    def _say_message(self, said: str, message: dict[str, Any]) -> None:
        self._say(
            said=said,
            msg_type=message["header"]["msg_type"],
            msg_id=message["header"]["msg_id"],
            parent=message["parent_header"].get("msg_id"),
            content=message["content"],
        )

    def _say(self, **values: Any) -> None:
        with self._saying:
            print(json.dumps(values, default=str), flush=True)


if __name__ == "__main__":
    Puppet(sys.argv[1]).run()
