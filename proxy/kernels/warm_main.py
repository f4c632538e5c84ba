"""What the Python of an environment runs so that a kernel waits there; kmux imports nothing of it.

``python warm_main.py FD -m ipykernel_launcher -f FILE`` is ``python -m ipykernel_launcher -f FILE``
that halts on its way: its sockets are bound and its shell is made, and neither an extension is
loaded nor a startup file run. It says so on the socket FD and blocks there. One line of JSON, with
``cwd`` and ``env``, makes it the kernel of a notebook: what a start takes from directory and
environment is taken again, and it goes on to where a kernel always goes.

While it waits no event loop runs, as in a kernel that is slow to start: a startup file may run one,
and what is sent to it meanwhile waits in its sockets. Heartbeats have a thread of their own.

On the end of the socket it ends at once, since kmux is gone: it is nobody's kernel yet.

Python 3.9 and later, ipykernel 6.29 to 7.
"""

import sys

if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # kmux's own directory. Nothing may be imported before: not even __future__, for annotations.
    del sys.path[0]

import contextlib
import importlib
import importlib.util
import json
import os
import runpy  # noqa: F401 - "python -m" has it loaded
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

DEFERRED = ("init_gui_pylab", "init_extensions", "init_code")
"""The steps of a kernel's start that run what the user wrote, or read what is set for a notebook
(MPLBACKEND, a matplotlibrc in its directory)."""
KNOWN_VERSIONS = ((6, 29), (8,))
"""Those of ipykernel whose start is known, from ... to before."""
CONFIGURATION = ("ipython_config", "ipython_kernel_config")


def main() -> None:
    """Be a kernel that waits, then one that runs."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    try:
        _look_launched(sys.argv[2:])
        before = dict(os.environ)
        app = _initialised()
        changes = _changes(before, dict(os.environ))
        configuration = _configuration(app)
    except Exception as error:  # who exits has said why
        _say(channel, state="failed", why=_one_line(error))
        raise
    lines = channel.makefile("rb")
    _say(channel, state="waiting")
    line = lines.readline()
    if not line.endswith(b"\n"):
        _end(app)
    try:
        wanted = json.loads(line)
        os.chdir(wanted["cwd"])
        _replace_environment(wanted["env"])
        _repeat(changes, before)
        _look_around(app)
        if _configuration(app) != configuration:
            raise ValueError("its configuration files say something else by now")
        if app.shell:
            app.shell.history_manager.new_session()
    except BaseException as error:
        _say(channel, state="failed", why=_one_line(error))
        _end(app)
    _say(channel, state="runs")
    lines.close()
    channel.close()
    if app.shell:
        app.shell.init_logstart()
        for step in DEFERRED:
            getattr(app, step)()
    sys.stdout.flush()  # nothing of this is to be shown as the first cell's
    sys.stderr.flush()
    app.start()


def _look_launched(command: "list[str]") -> None:
    """Set what tells how Python was started to ``-m ipykernel_launcher ...``."""
    launcher = importlib.util.find_spec("ipykernel_launcher")
    path = launcher.origin if launcher is not None else None
    own = len(sys.argv)
    sys.argv = [path or "ipykernel_launcher", *command[2:]]
    if hasattr(sys, "orig_argv"):  # Python 3.10
        sys.orig_argv[:] = [*sys.orig_argv[:-own], *command]


def _initialised() -> Any:
    """Return the application as it is before the deferred steps.

    It is no subclass, whose name would be seen in logs and by %config.
    """
    import ipykernel
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell
    from IPython.core.history import HistoryManager

    text: str = vars(ipykernel)["__version__"]
    version = tuple(int(part) for part in text.split(".")[:2])
    if not KNOWN_VERSIONS[0] <= version < KNOWN_VERSIONS[1]:
        raise ValueError(f"what ipykernel {text} does at its start is not known")
    app: Any = IPKernelApp.instance()
    with contextlib.ExitStack() as later:
        # The history counts sessions by their beginning: "%history ~1/" is the one before. What
        # waits is none, and if it was the notebook's, it would be older than it is.
        later.enter_context(_deferred(HistoryManager, "new_session"))
        # A log (InteractiveShell.logstart) begins in the notebook's directory.
        later.enter_context(_deferred(ZMQInteractiveShell, "init_logstart"))
        for step in DEFERRED:
            later.enter_context(_deferred(app, step))
        app.initialize()
    for extension in app.default_extensions if app.shell else ():
        with contextlib.suppress(ImportError):
            importlib.import_module(f"IPython.extensions.{extension}")
    return app


@contextlib.contextmanager
def _deferred(owner: Any, step: str) -> Iterator[None]:
    """Have a method do nothing while the context lasts."""
    own = vars(owner).get(step)
    setattr(owner, step, lambda *_, **__: None)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, step)
        else:
            setattr(owner, step, own)


def _configuration(app: Any) -> "list[tuple[str, str]]":
    """Return what the configuration files say: they are code, which may ask for the environment or
    the directory, and they may have been changed."""
    from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

    said = []
    loaders = ((".py", PyFileConfigLoader), (".json", JSONFileConfigLoader))
    for directory in app.config_file_paths:
        for name in dict.fromkeys((*CONFIGURATION, Path(app.config_file_name).stem)):
            for suffix, loader in loaders:
                path = os.path.join(directory, name + suffix)
                if os.path.isfile(path):
                    try:
                        said.append((path, repr(loader(path).load_config())))
                    except Exception as error:
                        said.append((path, repr(error)))
    return said


def _changes(before: "dict[str, str]", after: "dict[str, str]") -> "dict[str, str | None]":
    """Return what the start itself has done to the environment, as importing debugpy does."""
    names = sorted(before.keys() | after.keys())
    return {name: after.get(name) for name in names if before.get(name) != after.get(name)}


def _repeat(changes: "dict[str, str | None]", before: "dict[str, str]") -> None:
    """Do it again. What was not there may have been set as a default, which goes before nothing."""
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        elif name in before:
            os.environ[name] = value
        else:
            os.environ.setdefault(name, value)


def _replace_environment(env: "dict[str, str]") -> None:
    """Have this environment and no other, as it is behind the shell that keeps a kernel."""
    through_shell = "PWD" in os.environ  # which sets it, as POSIX has it
    os.environ.clear()
    os.environ.update(env)
    if not through_shell:
        return
    logical = env.get("PWD", "")
    with contextlib.suppress(OSError):
        if os.path.isabs(logical) and os.path.samefile(logical, "."):
            return
    os.environ["PWD"] = os.getcwd()


def _look_around(app: Any) -> None:
    """Take from the directory and the environment what a start takes from them."""
    time.tzset()
    tempfile.tempdir = None
    importlib.invalidate_caches()
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.ORIGINAL_DIR = os.path.abspath(os.getcwd())  # type: ignore[attr-defined]
    shell = app.shell
    if not shell:
        return
    shell.init_environment()
    shell.starting_dir = os.getcwd()
    shell.history_manager.dir_hist[:] = shell.history_manager._dir_hist_default()
    if os.environ.get("JPY_SESSION_NAME"):
        shell.user_ns["__session__"] = os.environ["JPY_SESSION_NAME"]
    else:
        shell.user_ns.pop("__session__", None)


def _say(channel: socket.socket, **what: str) -> None:
    """Tell kmux. That it is gone is seen elsewhere."""
    with contextlib.suppress(OSError):
        channel.sendall(json.dumps(what).encode() + b"\n")


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _end(app: Any) -> NoReturn:
    """End at once, without a trace: there is nothing that could be lost."""
    with contextlib.suppress(OSError):
        os.unlink(app.abs_connection_file)
    os._exit(0)


if __name__ == "__main__":
    main()
