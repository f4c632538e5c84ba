"""Jupyter's trust in notebooks: JupyterLab shows what is more than text only of those it trusts.

A signature is over all outputs, so a trusted notebook whose outputs are replaced is not trusted any
more, and its widgets are shown as text (nbformat.sign).
"""

from __future__ import annotations

import sqlite3
import sys
import warnings
from typing import Any

# nbformat imports jsonschema, and that each package that it finds for formats which no notebook
# has: one is a grammar of IRIs, built when it is imported. That takes 2.7 s, for which a kernel
# would wait.
_GRAMMAR = "rfc3987_syntax"
_is_left_out = _GRAMMAR not in sys.modules
if _is_left_out:
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
try:
    import nbformat
    from nbformat.sign import NotebookNotary
    from nbformat.warnings import MissingIDFieldWarning
finally:
    if _is_left_out:
        del sys.modules[_GRAMMAR]

UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, sqlite3.Error)
"""What a notebook that is none may raise, or a database of signatures that cannot be had."""

# Which is said on stderr, once for each notebook of an older form.
warnings.filterwarnings("ignore", category=MissingIDFieldWarning)


def is_trusted(text: str) -> bool:
    """Whether Jupyter trusts a notebook, here and for this user."""
    try:
        return bool(_notary().check_signature(_read(text)))
    except (*UNREADABLE, nbformat.ValidationError):
        return False


def is_output_trusted(text: str) -> bool:
    """Whether Jupyter trusts what a notebook shows: one without code shows nothing yet that
    anybody could have looked at."""
    return is_trusted(text) and any(cell.cell_type == "code" for cell in _read(text).cells)


def trust(text: str) -> bool:
    """Have Jupyter trust a notebook. Returns whether it does."""
    try:
        _notary().sign(_read(text))
    except (*UNREADABLE, nbformat.ValidationError):
        return False
    return True


def _notary() -> Any:
    notary: Any = NotebookNotary
    return notary()


def _read(text: str) -> Any:
    reads: Any = nbformat.reads
    return reads(text, as_version=4)
