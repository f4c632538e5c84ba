"""The notebooks of other projects' tests, from their source distributions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from conformance.sources import unpack

LEFT_OUT = {
    "nbclient/Autokill": "it kills its kernel",
    "nbclient/Interrupt": "it never ends",
    "nbclient/Parallel Execute A": "it waits for the other one",
    "nbclient/Parallel Execute B": "it waits for the other one",
    "nbformat/test2": "what it prints is random: %connect_info, rand",
}

_FOLDERS = {"nbclient": "tests/files", "nbformat": "tests"}


@dataclass(frozen=True, slots=True)
class Found:
    """A notebook, and where it is to run."""

    notebook: Any
    directory: Path


def notebooks() -> dict[str, Found]:
    """Return those that can be read and have something to run, by name.

    Raises :class:`ConformanceError` where they cannot be downloaded.
    """
    found = {}
    for distribution, folder in _FOLDERS.items():
        directory = unpack(distribution) / folder
        for path in sorted(directory.rglob("*.ipynb")):
            name = f"{distribution}/{path.relative_to(directory).with_suffix('')}"
            notebook = _read(path) if name not in LEFT_OUT else None
            if notebook is not None:
                found[name] = Found(notebook, path.parent)
    return found


def _read(path: Path) -> Any:
    """Read one as nbclient's users do; None where it is none, or has nothing to run."""
    invalid: dict[str, Any] = {}
    try:
        with warnings.catch_warnings(action="ignore"):
            notebook = nbformat.read(path, as_version=4, capture_validation_error=invalid)
    except Exception:  # what nbformat's tests expect of it
        return None
    runs = any(cell.cell_type == "code" and cell.source.strip() for cell in notebook.cells)
    return notebook if runs and not invalid else None
