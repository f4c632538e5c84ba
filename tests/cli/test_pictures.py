"""Pictures on the terminal: which one can show them, and what it is sent."""

from __future__ import annotations

import base64
import re
import struct
import zlib

import pytest

from proxy.cli.pictures import dimensions, iterm, kitty, protocol


def png(width: int, height: int) -> bytes:
    """A black picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + bytes(width)) * height)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


JPEG = bytes.fromhex("ffd8 ffe0 0004 0000 ffc2 0011 08 01e0 0280 03".replace(" ", ""))


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, []),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, []),
        ({"TERM": "xterm-kitty"}, ["image/png"]),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, ["image/png"]),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, ["image/png"]),
        ({"TERM_PROGRAM": "iTerm.app"}, ["image/gif", "image/jpeg", "image/png"]),
        ({"TERM_PROGRAM": "WezTerm"}, ["image/gif", "image/jpeg", "image/png"]),
        ({"LC_TERMINAL": "iTerm2"}, ["image/gif", "image/jpeg", "image/png"]),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, []),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, []),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, []),
    ],
)
def test_a_terminal_is_known_by_its_environment(
    environment: dict[str, str], shown: list[str]
) -> None:
    assert sorted(protocol(environment)) == shown


@pytest.mark.parametrize("size", [0, 10, 3072, 100_000])
def test_kitty_gets_it_in_pieces(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    sent = re.findall("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\", drawn := kitty(data[:size]))
    assert "".join(f"\x1b_G{keys};{chunk}\x1b\\" for keys, chunk in sent) == drawn
    assert base64.b64decode("".join(chunk for _, chunk in sent)) == data[:size]
    assert all(len(chunk) <= 4096 for _, chunk in sent)
    assert [keys[-3:] for keys, _ in sent] == ["m=1"] * (len(sent) - 1) + ["m=0"]
    assert sent[0][0].startswith("a=T,f=100")


def test_iterm_gets_it_whole() -> None:
    assert iterm(b"GIF89a") == ("\x1b]1337;File=inline=1;size=6;preserveAspectRatio=1:R0lGODlh\x07")


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(640, 480), (640, 480)),
        (b"GIF89a" + struct.pack("<HH", 7, 300), (7, 300)),
        (JPEG, (640, 480)),
        (b"", None),
        (png(640, 480)[:20], None),
        (b"\xff\xd8\xff\xda\x00\x04\x00\x00", None),
        (b"GIF89a", None),
        (b"something else", None),
    ],
)
def test_how_large_a_picture_is(data: bytes, size: tuple[int, int] | None) -> None:
    assert dimensions(data) == size
