"""Whether what a notebook lists may be installed: somebody else may have written it.

Installing a package runs code of whoever wrote it, so a notebook that came by mail is to install
nothing by being opened. It may where Jupyter trusts the notebook, or where a person has looked at
what it lists. What is from a project's files is not asked about: they are this machine's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from proxy.environments import pep723
from proxy.environments.detection import Detection
from proxy.errors import NotTrusted

YES = "yes"
"""What is said by who wants it whatever it is: ``--trust``."""
VERSION = 1
SHOWN = 3
"""How many an error names."""
MAX_CHARACTERS = 80
"""Of each of them."""

_ADDRESS = re.compile(r"(?i)^[a-z][a-z0-9+.-]*:|^[~./\\]")
_VERSIONS = re.compile(r"[\s<>=!~\d.,*]+((a|b|rc)\d+|t)?")
_INDEXES = ("index", "index-url", "extra-index-url", "default-index", "find-links")
_NOTES = {
    **dict.fromkeys(_INDEXES, "packages come from there too"),
    "sources": "this package comes from there",
}


def fingerprint(detection: Detection) -> str:
    """Return what stands for all that a notebook says of what is to be installed.

    Who has agreed to it has agreed to this and no more.
    """
    said = [
        VERSION,
        detection.source,
        [each.text for each in detection.requirements],
        detection.python,
        detection.channels,
        detection.script,
    ]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def listed(detection: Detection) -> list[str]:
    """Return what a notebook lists, a line each, with a note for what is no mere name.

    No line has characters that a terminal would obey.
    """
    return [f"{text}{f'  ({note})' if note else ''}" for text, note in _listed(detection)]


def check(
    detection: Detection,
    notebook: Path | None,
    text: str | None,
    said: str,
    is_trusted: Callable[[str], bool],
) -> None:
    """Raise :class:`NotTrusted` where nobody stands for what a notebook lists.

    ``text`` is the notebook's, the same that was looked at for the detection; what is none, or not
    there yet, lists nothing. ``said`` is what came with the request: nothing, :data:`YES`, or the
    fingerprint of what a person has agreed to.
    """
    if not detection.is_from_notebook or said in (YES, fingerprint(detection)):
        return
    assert notebook is not None
    assert text is not None
    if not is_trusted(text):
        raise NotTrusted(_message(detection, notebook, is_changed=bool(said)))


def _listed(detection: Detection) -> Iterator[tuple[str, str]]:
    """Yield what is listed, and what there is to say of it."""
    for each in detection.requirements:
        yield each.text, each.note
    if detection.python is not None:
        is_version = _VERSIONS.fullmatch(detection.python)
        note = "" if is_version else "no mere version: a program on this machine, or another kind"
        yield f"Python {plain(detection.python)}", note
    for channel in detection.channels:
        is_elsewhere = _ADDRESS.search(channel)
        yield f"channel {plain(channel)}", "at an address of its own" if is_elsewhere else ""
    if detection.script:
        script = pep723.script_of(detection.script)
        for name, value in _settings(script.settings if script is not None else {}):
            yield f"[tool.uv] {name} = {value}", _NOTES.get(name.split(".")[0], "a setting of uv")


def _settings(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the settings of a table, a line each also where it has tables of its own."""
    for name, value in table.items():
        key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", text) for inner, text in _settings(value))
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            yield from ((key, _toml(each)) for each in value)
        else:
            yield key, _toml(value)


def _toml(value: object) -> str:
    """Write a value in one line of plain characters."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{plain(key)} = {_toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value)
    return str(value)


def plain(text: str) -> str:
    """Return a text that a terminal shows as it is: no escape sequence, no reversed letters."""
    return text if text.isprintable() else json.dumps(text)


def _message(detection: Detection, notebook: Path, *, is_changed: bool) -> str:
    lines = [f"{_cut(text)}{f' ({note})' if note else ''}" for text, note in _listed(detection)]
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    why = "what was agreed to is another list" if is_changed else "nobody here has agreed to that"
    path = shlex.quote(plain(str(notebook)))
    return (
        f"{plain(str(notebook))} asks to install {', '.join(lines[:SHOWN])}{more}, and {why}; look "
        f"at it (kmux env explain {path}) and say --trust, or: {_jupyter_trust()} {path}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _jupyter_trust() -> str:
    """Return how Jupyter's command is called here. nbformat has it, so it is there, but it is not
    on PATH where kmux was installed by itself."""
    beside = Path(sys.executable).parent / "jupyter-trust"
    on_path = shutil.which("jupyter") and shutil.which("jupyter-trust")
    return (
        "jupyter trust" if on_path or not os.access(beside, os.X_OK) else shlex.quote(str(beside))
    )
