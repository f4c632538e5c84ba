"""Which differences of two environments a kernel that waits cannot take over.

It has begun with one environment and is to run with another. What is looked up when it is needed
is simply set, and what IPython and ipykernel derive from it at a start is derived again
(``warm_main.py``). What is left is here: variables that are read once, by the loader, the C
libraries, Python, or a module that is imported. Where one of those differs, only a kernel that is
started anew is as it should be.

Not here, though read at a start, since nothing that a notebook can see comes of it: PATH (a command
line that kmux makes names its Python in full), TERM (set by ipykernel itself), LINES, INPUTRC and
TERMINFO (a kernel has no terminal), EDITOR and IPY_TEST_SIMPLE_PROMPT (IPython's terminal, which
IPython 8 imports), PYTHONDOCS (pydoc's help on a terminal), ANDROID_DATA (tells that this is
Android), and DISPLAY: pydevd asks whether there is one before it lets windows of Matplotlib go on
at a breakpoint. A session on a desktop has a display and a daemon that systemd started has not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

BY_NAME = {
    "LANG": "the C library",
    "LANGUAGE": "gettext",
    "LOCPATH": "the C library",
    "LOCALE_ARCHIVE": "the C library",  # NixOS
    "GCONV_PATH": "the C library",
    "TMPDIR": "SQLite",  # one that is set later is not looked at
    "HOME": "IPython",  # its directory; Jupyter's; Python's user site
    "USER": "jupyter_client",  # in the headers of messages
    "XDG_CONFIG_HOME": "IPython",
    "XDG_DATA_HOME": "jupyter_core",
    "XDG_CACHE_HOME": "parso",
    "JPY_PARENT_PID": "ipykernel",  # whose end it watches for
    "JPY_INTERRUPT_EVENT": "ipykernel",
    "PYTEST_CURRENT_TEST": "ipykernel",  # whether file descriptors 1 and 2 are captured
    "IN_SPHINX_RUN": "IPython",
    "COLUMNS": "IPython",  # help on magics is wrapped when they are defined
    "EXCEPTIONGROUP_NO_PATCH": "exceptiongroup",
    "PATHS_FROM_ECLIPSE_TO_PYTHON": "debugpy",
    "SETUPTOOLS_USE_DISTUTILS": "setuptools",  # a .pth file in most environments
    "__PYVENV_LAUNCHER__": "Python",
}
BY_BEGINNING = {
    "PYTHON": "Python",
    "_PYTHON": "Python",  # of its build: sysconfig
    "LD_": "the dynamic loader",
    "GLIBC_": "the C library",  # GLIBC_TUNABLES
    "MALLOC_": "the C library",
    "LC_": "the C library",
    "OPENSSL_": "OpenSSL",  # loaded by hashlib
    "SQLITE_": "SQLite",
    "IPYTHON": "IPython",
    "JUPYTER_": "jupyter_core",
    "TRAITLETS_": "traitlets",
    "PYZMQ_": "pyzmq",
    "TORNADO_": "tornado",
    "PSUTIL_": "psutil",
    "PYDEV": "debugpy",  # PYDEVD_, PYDEV_DEBUG
    "DEBUGPY_": "debugpy",
    "DEBUG_PYDEVD_": "debugpy",
    "PYCHARM_": "debugpy",
    "GEVENT_": "debugpy",
    "WCWIDTH_": "wcwidth",
    "COVERAGE_": "coverage",  # a .pth file
}
READ_LATER = frozenset(
    {
        "JUPYTER_TOKEN",  # a server's
        "PYTHONSTARTUP",  # a startup file: it is run when the kernel is handed over
        "PYTHONBREAKPOINT",  # by breakpoint()
        "PYTHONDOCS",
        "PYTHONINSPECT",  # when Python ends, and a kernel has no prompt then
    }
)


def hindrance(
    started_with: Mapping[str, str], wanted: Mapping[str, str], arguments: Sequence[str] = ()
) -> str | None:
    """Return why a kernel that began with an environment cannot be as one that begins with the
    other one and these arguments. Names variables, and tells no values of them."""
    if arguments:
        return f"{arguments[0]} is read when a kernel is started"
    for name in sorted(started_with.keys() | wanted.keys()):
        reader = _reader(name)
        if reader is not None and started_with.get(name) != wanted.get(name):
            return f"{name} is another one, and {reader} reads it when a kernel is started"
    entries = wanted["PYTHONPATH"].split(os.pathsep) if wanted.get("PYTHONPATH") else []
    if not all(map(os.path.isabs, entries)):
        return "PYTHONPATH is relative to the directory in which Python is started"
    return None


def _reader(name: str) -> str | None:
    """Return who reads a variable at a start and never again."""
    if name in READ_LATER:
        return None
    beginnings = (who for start, who in BY_BEGINNING.items() if name.startswith(start))
    return BY_NAME.get(name) or next(beginnings, None)
