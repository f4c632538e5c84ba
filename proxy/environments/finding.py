"""Look a notebook and what is above it up, and detect."""

from __future__ import annotations

import json
from pathlib import Path

from proxy.environments.detection import Choice, Detection, detect
from proxy.environments.projects import levels_above
from proxy.environments.wants import Wants, wants_of
from proxy.errors import ConfigError


def of_text(text: str | None, notebook: Path | None, directory: Path, choice: Choice) -> Detection:
    """Detect for a notebook; one that is not there yet says nothing, nor does None.

    Its text was read already, so that nobody can exchange it between the look at what it says and
    the look at whether it is trusted. Its project is looked for from where it is, else from
    ``directory`` upwards. Raises :class:`ConfigError` as :func:`detect` does, and where the
    notebook is none.
    """
    start = directory if notebook is None else notebook.parent
    try:
        home = Path.home()
    except RuntimeError:  # this user has none
        home = Path("/")
    try:
        return detect(_wants_of_text(text), levels_above(start.absolute(), home), choice)
    except _NoNotebook:
        raise ConfigError(f"{notebook} is no notebook") from None
    except ConfigError as error:
        what = f"{notebook}: " if notebook is not None else ""
        raise ConfigError(f"{what}{error}") from None


def text_of(notebook: Path) -> str | None:
    """Read a notebook; None: it is not there yet. Raises :class:`ConfigError`."""
    try:
        raw = notebook.read_bytes()
        return raw.decode(json.detect_encoding(raw))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{notebook} is no notebook") from None
    except OSError as error:
        raise ConfigError(f"cannot read {notebook}: {error.strerror}") from None


class _NoNotebook(ConfigError): ...


def _wants_of_text(text: str | None) -> Wants:
    if text is None:
        return Wants()
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise _NoNotebook from None
    if not isinstance(tree, dict):
        raise _NoNotebook
    return wants_of(tree)
