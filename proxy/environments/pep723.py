"""Inline script metadata: what a file's code says in a comment of the packages that it needs.

The format is PEP 723's, which is part of the Python packaging specifications by now.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from proxy.errors import ConfigError

# The specification's own expression, with its closing line also where that is the last one.
_BLOCK = re.compile(
    r"^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$", re.MULTILINE
)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``script`` block says."""

    dependencies: tuple[str, ...] = ()
    python: str | None = None
    """``requires-python``"""
    settings: dict[str, Any] = {}
    """``[tool.uv]``, which may name other indexes."""
    block: str = ""
    """The block as it stands, without the code around it: a file that says this and no more."""


def script_of(code: str) -> Script | None:
    """Return what a cell's code says, None where it says nothing.

    Raises :class:`ConfigError` where what it says cannot be read.
    """
    code = code.replace("\r\n", "\n")
    blocks = [found["content"] for found in _BLOCK.finditer(code) if found["type"] == "script"]
    if not blocks:
        return None
    if len(blocks) > 1:
        raise ConfigError("the first code cell has two '# /// script' blocks; leave one of them")
    # Only these are ends of lines to uv as well: what one of us reads the other does, too.
    written = blocks[0].removesuffix("\n").split("\n")
    lines = (line[2:] if line.startswith("# ") else line[1:] for line in written)
    try:
        said = tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the '# /// script' block is no TOML: {error}") from None
    return Script(
        dependencies=_dependencies(said),
        python=_python(said),
        settings=_table(_table(said.get("tool")).get("uv")),
        block="\n".join(("# /// script", *written, "# ///", "")),
    )


def _table(said: object) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _dependencies(said: dict[str, Any]) -> tuple[str, ...]:
    listed = said.get("dependencies", [])
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ConfigError("dependencies in the '# /// script' block is to be a list of texts")
    return tuple(each.strip() for each in listed if each.strip())


def _python(said: dict[str, Any]) -> str | None:
    python = said.get("requires-python")
    if python is not None and not isinstance(python, str):
        raise ConfigError("requires-python in the '# /// script' block is to be a text")
    return python.strip() or None if python else None
