"""What frontends see while the kernel's environment is being made, which may take minutes.

Theory: nothing answers meanwhile, and frontends give a kernel a minute to answer kernel_info
(jupyter_server's ``kernel_info_timeout``, nbclient's ``startup_timeout``). So after a while it is
answered with what is true of every kernel of its language; the kernel's own answer takes its place
when it is there. What is done is told where a person looks: in the output of the first cell of
each client that waits. It is taken away again when the kernel is there, before that cell prints
anything of its own.

Everything that changes this state is in this file.
"""

from __future__ import annotations

import msgspec

from proxy.message import ClientId, Message
from proxy.session.composer import PROTOCOL_VERSION, Composer
from proxy.session.events import ClientSent

STAND_IN_TIMER = "stand-in"
STAND_IN_SECONDS = 5.0
"""Until kernel_info is answered without a kernel. One that starts at once answers itself."""
MAX_LINES = 500
"""How many are told a cell. A resolver may download for hours."""

_LANGUAGES: dict[str, dict[str, object]] = {
    "python": {
        "name": "python",
        "version": "3",
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    },
    "typescript": {
        "name": "typescript",
        "version": "",
        "mimetype": "text/x.typescript",
        "codemirror_mode": "typescript",
        "pygments_lexer": "typescript",
        "nbconvert_exporter": "script",
        "file_extension": ".ts",
    },
}
"""``language_info`` as the kernels of these have it (ipykernel 7, Deno 2.9)."""

_FEATURES: dict[str, dict[str, object]] = {
    "python": {"debugger": True, "supported_features": ["kernel subshells", "debugger"]},
}
"""What else the kernel of a language can do. JupyterLab asks once: what the first answer leaves out
it keeps turned off. ``debugger`` is how ipykernel 6 has said it, which JupyterLab looks at."""


class _Execute(msgspec.Struct, frozen=True):
    silent: bool = False


_execute_decoder = msgspec.json.Decoder(_Execute)


class Preparing:
    """Whether something is being made, what was told of it, and to whom."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.active = False
        self.language = ""
        self.overdue = False
        """Whether frontends have waited for so long that they are answered without a kernel."""
        self.last = ""
        """The latest line."""
        self._shown: dict[ClientId, ClientSent] = {}
        self._lines = 0

    def begin(self, language: str) -> bool:
        """Something is being made. Returns whether this is news."""
        if self.active:
            return False
        self.active, self.overdue, self.language = True, False, language
        return True

    def stand_in(self) -> bytes | None:
        """Return the content of a kernel_info_reply, where one is due before the kernel's own."""
        language = _LANGUAGES.get(self.language)
        if not (self.active and self.overdue and language):
            return None
        return msgspec.json.encode(
            {
                "status": "ok",
                "protocol_version": PROTOCOL_VERSION,
                "implementation": "kmux",
                "implementation_version": "",
                "language_info": language,
                "banner": "The kernel's environment is being prepared.",
                "help_links": [],
                **_FEATURES.get(self.language, {}),
            }
        )

    def tell(self, line: str, voice: Composer, at: float) -> list[Message]:
        """Make what the cells are sent that show it."""
        if line == self.last or self._lines >= MAX_LINES:
            return []
        self.last = line
        self._lines += 1
        return [_said(line, cell, voice, at) for cell in self._shown.values()]

    def show(self, event: ClientSent, voice: Composer, at: float) -> list[Message]:
        """A request waits. Its client is told in its output, if it is its first cell that shows."""
        if not self.active or event.client in self._shown:
            return []
        if event.message.header.msg_type != "execute_request":
            return []
        request = event.message.content_as(_execute_decoder)
        if request is None or request.silent:
            return []
        self._shown[event.client] = event
        return [_said(self.last, event, voice, at)] if self.last else []

    def end(self, voice: Composer, at: float) -> list[Message]:
        """It is over, one way or the other. Returns what takes the lines away again."""
        cells = self._shown.values() if self._lines else ()
        cleared = [
            voice.message("clear_output", {"wait": False}, at, parent=cell.message.origin)
            for cell in cells
        ]
        self._reset()
        return cleared


def _said(line: str, cell: ClientSent, voice: Composer, at: float) -> Message:
    content = {"name": "stderr", "text": f"kmux: {line}\n"}
    return voice.message("stream", content, at, parent=cell.message.origin)
