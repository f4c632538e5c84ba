"""What there is in the environments of other Pythons: each is asked, in a process of its own.

A package that is installed may still not import, so ipykernel is imported. At most two are asked at
a time; one that does not answer is ended with all that it has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

ANSWER_SECONDS = 10.0
AT_A_TIME = 2

# For Python 2 as well: there are kernels of it.
_IPYKERNEL = """
import json, sys
found = {"python": "%d.%d.%d" % sys.version_info[:3]}
try:
    import ipykernel
    found["package"] = ipykernel.__version__
except Exception as error:
    found["failure"] = "%s: %s" % (type(error).__name__, error)
try:
    from importlib.util import find_spec
    found["has_widgets"] = find_spec("ipywidgets") is not None
except Exception:
    pass
print(json.dumps(found))
"""
_KMUX = """
import json, sys
found = {"python": "%d.%d.%d" % sys.version_info[:3]}
try:
    import proxy.cli.main
    found["package"] = proxy.__version__
except Exception as error:
    found["failure"] = "%s: %s" % (type(error).__name__, error)
print(json.dumps(found))
"""
_CODE = {"ipykernel": _IPYKERNEL, "kmux": _KMUX}


class Question(msgspec.Struct, frozen=True):
    """Whether a Python has a package."""

    command: tuple[str, ...]
    """What runs it: the interpreter, perhaps with something ahead or behind."""
    package: Literal["ipykernel", "kmux"]
    environment: tuple[tuple[str, str], ...] = ()
    """What is other than here."""


class Answer(msgspec.Struct, frozen=True):
    """What it said."""

    python: str = ""
    package: str = ""
    """Its version; empty where there is none that can be imported."""
    has_widgets: bool = True
    failure: str = ""
    """Why there is none."""


def ask(questions: Collection[Question], seconds: float = ANSWER_SECONDS) -> dict[Question, Answer]:
    """Ask each once."""
    different = list(dict.fromkeys(questions))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return dict(zip(different, pool.map(lambda q: _ask(q, seconds), different), strict=True))


def _ask(question: Question, seconds: float) -> Answer:
    """Ask one. Raises nothing."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                [*question.command, "-c", _CODE[question.package]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd="/",
                env={**os.environ, **dict(question.environment)},
                start_new_session=True,
            )
        except OSError as error:
            return Answer(failure=f"it cannot be run: {error.strerror or error}")
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return Answer(failure=f"it did not answer in {seconds:g} s")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        err.seek(0)
        return _read(out.read(), err.read(), status)


def _read(out: bytes, err: bytes, status: int) -> Answer:
    """Read its last line; whatever runs ahead of it may have said something, too."""
    try:
        return msgspec.json.decode((out.splitlines() or [b""])[-1], type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = err.decode("utf-8", "replace").strip().splitlines()
        return Answer(failure=said[-1] if said else f"it ended with status {status}")
