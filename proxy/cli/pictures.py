"""Pictures on the terminal, where it can show them: by kitty's protocol, or by iTerm2's.

What a terminal can do is told by its environment: asking it would take what is typed meanwhile.
Sixels are left out: no variable says that a terminal knows them, and they need a decoder.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping

Draw = Callable[[bytes], str]
"""Returns what the terminal shows a picture for."""

_KITTY_CHUNK = 4096
_KITTY_PROGRAMS = ("ghostty",)
_KITTY_TERMS = ("xterm-kitty", "xterm-ghostty")
_ITERM_PROGRAMS = ("iTerm.app", "WezTerm", "mintty")


def protocol(environment: Mapping[str, str]) -> dict[str, Draw]:
    """Return how the terminal shows pictures, by media type."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("tmux", "screen")):
        return {}  # they pass nothing that they do not know
    if program in _ITERM_PROGRAMS or environment.get("LC_TERMINAL") == "iTerm2":
        return dict.fromkeys(("image/png", "image/jpeg", "image/gif"), iterm)
    if environment.get("KITTY_WINDOW_ID") or term in _KITTY_TERMS or program in _KITTY_PROGRAMS:
        return {"image/png": kitty}
    return {}


def kitty(data: bytes) -> str:
    """Show a PNG where the cursor is (kitty's graphics protocol: f=100 is PNG, q=2 no answers)."""
    text = base64.b64encode(data).decode()
    chunks = [text[at : at + _KITTY_CHUNK] for at in range(0, len(text), _KITTY_CHUNK)] or [""]
    drawn = []
    for number, chunk in enumerate(chunks):
        keys = "a=T,f=100,q=2," if number == 0 else ""
        more = int(number < len(chunks) - 1)
        drawn.append(f"\x1b_G{keys}m={more};{chunk}\x1b\\")
    return "".join(drawn)


def iterm(data: bytes) -> str:
    """Show a picture where the cursor is (iTerm2's inline images; WezTerm has them as well)."""
    text = base64.b64encode(data).decode()
    return f"\x1b]1337;File=inline=1;size={len(data)};preserveAspectRatio=1:{text}\x07"


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF or JPEG; None where they are not found."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack(">II", data[16:24])
        if data.startswith((b"GIF87a", b"GIF89a")):
            return struct.unpack("<HH", data[6:10])
        if data.startswith(b"\xff\xd8"):
            return _of_jpeg(data)
    except struct.error:
        pass
    return None


def _of_jpeg(data: bytes) -> tuple[int, int] | None:
    """Go from segment to segment until one begins a frame (SOF0 to SOF15, but for three)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
