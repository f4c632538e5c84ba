"""Look a notebook and what is above it up, and detect."""

from __future__ import annotations

import json
from pathlib import Path

from proxy.environments.detection import Choice, Detection, detect
from proxy.environments.projects import levels_above
from proxy.environments.wants import Wants, wants_of
from proxy.errors import ConfigError


def of_notebook(notebook: Path | None, directory: Path, choice: Choice) -> Detection:
    """Detect for a notebook; one that is not there yet says nothing, nor does None.

    Its project is looked for from where it is, else from ``directory`` upwards. Raises
    :class:`ConfigError` as :func:`detect` does, and where the notebook is none.
    """
    wants = Wants() if notebook is None else wants_of_file(notebook)
    start = directory if notebook is None else notebook.parent
    try:
        home = Path.home()
    except RuntimeError:  # this user has none
        home = Path("/")
    try:
        return detect(wants, levels_above(start.absolute(), home), choice)
    except ConfigError as error:
        what = f"{notebook}: " if notebook is not None else ""
        raise ConfigError(f"{what}{error}") from None


def wants_of_file(notebook: Path) -> Wants:
    """Read what a notebook says. Raises :class:`ConfigError` where it is none."""
    try:
        tree = json.loads(notebook.read_bytes())
    except FileNotFoundError:
        return Wants()
    except OSError as error:
        raise ConfigError(f"cannot read {notebook}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{notebook} is no notebook") from None
    try:
        return wants_of(tree)
    except ConfigError as error:
        raise ConfigError(f"{notebook}: {error}") from None
