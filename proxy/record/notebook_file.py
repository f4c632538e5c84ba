"""Notebook files: read, and written as a whole or not at all.

Python's JSON keeps the order of keys; indentation, escapes and line ends are written as they were
found. A file that is not what was read any more is not overwritten: somebody saved it meanwhile.
(Who saves between the last look and the rename, microseconds later, is not noticed.)
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.errors import ConfigError, InternalError
from proxy.record import disk

Tree = dict[str, Any]

FIRST_MINOR_WITH_IDS = 5
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """A notebook as it was read."""

    path: Path
    text: str
    tree: Tree

    def written(self, tree: Tree) -> str:
        """Return another tree as JSON in this file's style."""
        indented = re.match(r"\ufeff?\s*{\s*\n([ \t]+)", self.text)
        escaped = self.text.isascii() and "\\u" in self.text
        comma, colon = ("," if indented else ", "), ": "
        if not indented and '": ' not in self.text:
            comma, colon = ",", ":"
        text = json.dumps(
            tree,
            ensure_ascii=escaped,
            indent=indented[1] if indented else None,
            separators=(comma, colon),
        )
        if self.text.startswith(BOM):
            text = BOM + text
        text += self.text[len(self.text.rstrip()) :]
        return text.replace("\n", "\r\n") if "\r\n" in self.text else text


def read(path: Path) -> NotebookFile:
    """Read a notebook whose cells have ids. Raises :class:`ConfigError` where it is none."""
    path = path.resolve()  # a link stays one
    try:
        text = path.read_bytes().decode()
        tree = json.loads(text.removeprefix(BOM))
        version, minor = tree["nbformat"], tree.get("nbformat_minor", 0)
        cells = tree["cells"] if version == 4 else []
        has_ids = any("id" in dict(cell) for cell in cells)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{path} is no notebook") from None
    if version != 4 or (minor < FIRST_MINOR_WITH_IDS and not has_ids):
        raise ConfigError(
            f"{path} has notebook format {version}.{minor}, whose cells have no ids by which to "
            "find their outputs; save it with a present JupyterLab, or export to a new file with -o"
        )
    return NotebookFile(path, text, tree)


def written(notebook: Tree) -> str:
    """Return a notebook in memory as nbformat writes it.

    Raises :class:`InternalError` where it is not valid.
    """
    import nbformat  # 0.2 s, and only notebooks need it

    node = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    try:
        nbformat.validate(node)
    except nbformat.ValidationError as error:
        raise InternalError(f"the notebook is not valid: {str(error).splitlines()[0]}") from error
    text: str = nbformat.writes(node)  # type: ignore[no-untyped-call]
    return text if text.endswith("\n") else text + "\n"


def on_disk(notebook: Tree) -> Tree:
    """Return a notebook in memory in the form that it has in a file: texts as lists of lines."""
    tree: Tree = json.loads(written(notebook))
    return tree


def create(path: Path, text: str, *, force: bool = False) -> None:
    """Write a file that is not there yet; with ``force``, in place of one that is."""
    path = path.resolve()
    with _writing(path):
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
        temporary = disk.write_aside(path, [text.encode("utf-8", "replace")])
        try:
            temporary.chmod(mode)
            if force:
                temporary.replace(path)
            else:
                _link(temporary, path)
        finally:
            disk.unlink(temporary)
        disk.sync_directory(path.parent)


def replace(before: NotebookFile, text: str, *, force: bool = False) -> None:
    """Write a notebook that was read. Raises :class:`ConfigError` where it changed meanwhile."""
    path = before.path
    with _writing(path):
        status = path.stat()
        temporary = disk.write_aside(path, [text.encode("utf-8", "replace")])
        try:
            temporary.chmod(status.st_mode & 0o7777)
            with contextlib.suppress(OSError):  # as somebody else than the owner
                os.chown(temporary, status.st_uid, status.st_gid)
            if not force and path.read_bytes() != before.text.encode():
                raise ConfigError(
                    f"{path} was changed meanwhile and is left as it is; try again, or --force"
                )
            temporary.replace(path)
        finally:
            disk.unlink(temporary)
        disk.sync_directory(path.parent)


def _link(temporary: Path, path: Path) -> None:
    """Give a file its name, if nobody has it."""
    taken = ConfigError(f"{path} is there already; --force replaces it, -o writes another file")
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise taken from None
    except OSError:  # there are filesystems without links
        if os.path.lexists(path):
            raise taken from None
        temporary.replace(path)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
