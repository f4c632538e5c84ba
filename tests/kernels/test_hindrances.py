"""Which differences of two environments have a kernel started anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.kernels.hindrances import hindrance

# Read at a start, and of no account: proxy/kernels/hindrances.py says why.
OF_NO_ACCOUNT = {
    "PATH",
    "TERM",
    "LINES",
    "DISPLAY",
    "ANDROID_DATA",
    "PYTHONDOCS",
    "IPY_TEST_SIMPLE_PROMPT",
    "EDITOR",
    "JPY_SESSION_NAME",  # taken over (warm_main.py)
}

# A start up to where a kernel waits, in which each variable that is asked for is noted.
_RECORDER = """
import os, sys
asked = set()
kind = type(os.environ)
get = kind.__getitem__
def note(self, name):
    asked.add(os.fsdecode(name))
    return get(self, name)
kind.__getitem__ = note
kind.__contains__ = lambda self, name: (asked.add(name), self.encodekey(name) in self._data)[1]
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
app.init_gui_pylab = app.init_extensions = app.init_code = lambda: None
app.initialize(["-f", sys.argv[1]])
os.write(2, ("\\n" + " ".join(sorted(asked))).encode())
os._exit(0)
"""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("PYTHONPATH", "Python reads it"),
        ("PYTHONHASHSEED", "Python reads it"),
        ("LD_PRELOAD", "the dynamic loader reads it"),
        ("LC_ALL", "the C library reads it"),
        ("MALLOC_ARENA_MAX", "the C library reads it"),
        ("HOME", "IPython reads it"),
        ("IPYTHONDIR", "IPython reads it"),
        ("JUPYTER_CONFIG_DIR", "jupyter_core reads it"),
        ("XDG_CONFIG_HOME", "IPython reads it"),
        ("PYDEVD_DISABLE_FILE_VALIDATION", "debugpy reads it"),
        ("TMPDIR", "SQLite reads it"),
    ],
)
def test_what_is_read_once_must_not_differ(name: str, why: str) -> None:
    for one, other in (({}, {name: "/a"}), ({name: "/a"}, {}), ({name: "/a"}, {name: "/b"})):
        said = hindrance(one, other)
        assert said is not None
        assert said.startswith(f"{name} is another one, and {why}")
    assert hindrance({name: "/a"}, {name: "/a"}) is None


@pytest.mark.parametrize(
    "name",
    ["PATH", "TZ", "MPLBACKEND", "JPY_SESSION_NAME", "VIRTUAL_ENV", "PYTHONSTARTUP", "PWD",
     "XDG_SESSION_ID", "XDG_RUNTIME_DIR", "TERM", "DISPLAY", "CUDA_VISIBLE_DEVICES"],
)  # fmt: skip
def test_what_is_looked_up_when_it_is_needed_may_differ(name: str) -> None:
    assert hindrance({name: "a"}, {name: "b"}) is None
    assert hindrance({}, {name: "b"}) is None


def test_the_first_one_is_named_and_no_value_is_told() -> None:
    said = hindrance({"B": "secret", "LD_B": "secret"}, {"HOME": "secret", "LANG": "secret"})
    assert said == "HOME is another one, and IPython reads it when a kernel is started"


def test_arguments_are_for_a_kernel_that_is_started() -> None:
    said = hindrance({}, {}, ["--matplotlib", "inline"])
    assert said == "--matplotlib is read when a kernel is started"


@pytest.mark.parametrize("path", ["src", "/a:src", "/a:", ":/a"])
def test_a_path_that_is_relative_to_where_python_is_started(path: str) -> None:
    said = hindrance({"PYTHONPATH": path}, {"PYTHONPATH": path})
    assert said == "PYTHONPATH is relative to the directory in which Python is started"
    assert hindrance({"PYTHONPATH": "/a:/b"}, {"PYTHONPATH": "/a:/b"}) is None
    assert hindrance({"PYTHONPATH": ""}, {"PYTHONPATH": ""}) is None


def test_all_that_a_kernel_of_today_reads_at_its_start_is_known(tmp_path: Path) -> None:
    """It fails with a version that reads more: find out what comes of it, and put it there."""
    done = subprocess.run(
        [sys.executable, "-c", _RECORDER, str(tmp_path / "connection.json")],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    asked = set(done.stderr.splitlines()[-1].split())
    assert {"HOME", "IPYTHONDIR", "PYDEVD_USE_CYTHON"} <= asked, "the recorder records"
    assert {name for name in asked - OF_NO_ACCOUNT if hindrance({}, {name: "/x"}) is None} == set()
