"""What a notebook says of the kernel and the packages that it wants, as it stands in the file.

The keys are nteract's: ``metadata.runt.uv`` and ``metadata.runt.conda``, and the same two without
``runt`` in notebooks from before there was one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.errors import ConfigError

AUTO = ("auto", "auto-shared")
"""What kmux's own kernelspecs are called that leave the choice to the notebook. JupyterLab writes
the one that it was opened with into the notebook, over what that said before."""

_EXAMPLES = {
    "dependencies": '["numpy>=2"]',
    "channels": '["conda-forge"]',
    "permissions": '["--allow-net"]',
}


class Inline(msgspec.Struct, frozen=True, kw_only=True):
    """Packages that a notebook lists in its metadata."""

    where: str
    """The key, with dots."""
    dependencies: tuple[str, ...] = ()
    python: str | None = None
    """Which Python, as the one or the other tool writes it: ``>=3.11``, ``3.12``."""
    channels: tuple[str, ...] = ()


class Wants(msgspec.Struct, frozen=True, kw_only=True):
    """All that a notebook says of it. Empty where it says nothing, as a new one does."""

    kernel: str = ""
    """``kernelspec.name``"""
    kernel_language: str = ""
    """``kernelspec.language``"""
    language: str = ""
    """``language_info.name``"""
    uv: Inline | None = None
    conda: Inline | None = None
    first_code: str = ""
    """The source of the first code cell, where PEP 723's metadata may be."""
    deno_permissions: tuple[str, ...] | None = None
    """``runt.deno.permissions``: flags like ``--allow-net``. None: it does not say."""


def wants_of(tree: object) -> Wants:
    """Read a notebook's JSON. What it may say in free words is taken as it is.

    Raises :class:`ConfigError` where packages are listed in a way that cannot be meant.
    """
    notebook = _table(tree)
    metadata = _table(notebook.get("metadata"))
    kernelspec = _table(metadata.get("kernelspec"))
    if _text(kernelspec.get("name")).lower() in AUTO:
        kernelspec = {}  # nor does its language say anything: it is Python's, whatever runs
    at, prefix = (_table(metadata["runt"]), "runt.") if "runt" in metadata else (metadata, "")
    deno = _table(at.get("deno")) if prefix else {}
    return Wants(
        kernel=_text(kernelspec.get("name")),
        kernel_language=_text(kernelspec.get("language")),
        language=_text(_table(metadata.get("language_info")).get("name")),
        uv=_inline(at, "uv", prefix, python="requires-python"),
        conda=_inline(at, "conda", prefix, python="python"),
        first_code=_first_code(notebook.get("cells")),
        deno_permissions=_texts(deno, "permissions", "metadata.runt.deno"),
    )


def _inline(at: Mapping[str, Any], key: str, prefix: str, *, python: str) -> Inline | None:
    where = f"metadata.{prefix}{key}"
    said = at.get(key)
    if said is None:
        return None
    if not isinstance(said, dict):
        raise ConfigError(f"{where} is to be a table with a list of dependencies")
    version = said.get(python)
    if version is not None and not isinstance(version, str):
        raise ConfigError(f'{where}.{python} is to be a text, like ">=3.11"')
    return Inline(
        where=where,
        dependencies=_texts(said, "dependencies", where) or (),
        python=version.strip() or None if version else None,
        channels=_texts(said, "channels", where) or (),
    )


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...] | None:
    said = table.get(key)
    if said is None:
        return None
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise ConfigError(f"{where}.{key} is to be a list of texts, like {_EXAMPLES[key]}")
    return tuple(each.strip() for each in said if each.strip())


def _first_code(cells: object) -> str:
    for cell in cells if isinstance(cells, list) else ():
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source")
            lines = source if isinstance(source, list) else [source]
            return "".join(line for line in lines if isinstance(line, str))
    return ""


def _table(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _text(said: object) -> str:
    return said.strip() if isinstance(said, str) else ""
