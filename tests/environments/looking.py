"""Detect for a notebook on the disk."""

from __future__ import annotations

from pathlib import Path

from proxy.environments.detection import Choice, Detection
from proxy.environments.finding import of_text, text_of


def of_notebook(notebook: Path | None, directory: Path, choice: Choice) -> Detection:
    return of_text(None if notebook is None else text_of(notebook), notebook, directory, choice)
