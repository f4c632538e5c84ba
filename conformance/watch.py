"""A pytest plugin that notes each kernel that a suite launches, and in which test.

Loaded on both sides (``-p conformance.watch``): directly it says how many kernels there are to
redirect; through kmux it shows the ones that went past it. Kernels that a suite starts from a
process of its own (``jupyter run``) are not seen here; launch.py sees them.

For the tests that must not see the redirection it takes kmux's kernelspecs out of the path. It
also picks tests to run again by the names that junit files have for them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

FILE_VARIABLE = "KMUX_CONFORMANCE_WATCH"
PLAIN_TESTS_VARIABLE = "KMUX_CONFORMANCE_PLAIN_TESTS"
PLAIN_PATH_VARIABLE = "KMUX_CONFORMANCE_PLAIN_PATH"
ONLY_VARIABLE = "KMUX_CONFORMANCE_ONLY"

_LAUNCHER = os.path.join("jupyter_client", "launcher.py")
_FRAMES_TO_LAUNCHER = 6
"""This file's two, then Popen's _execute_child and __init__, launch_kernel, and one to spare."""


def junit_name(node_id: str) -> str:
    """Name a test as junit files do, ``package.module.Class::test``, from what pytest calls it."""
    file, _, rest = node_id.partition("::")
    *classes, test = rest.split("::")
    return ".".join([file.removesuffix(".py").replace("/", "."), *classes]) + f"::{test}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all tests but the ones that were asked for, if some were."""
    if ONLY_VARIABLE not in os.environ:
        return
    wanted = set(os.environ[ONLY_VARIABLE].splitlines())
    left_out = [item for item in items if junit_name(item.nodeid) not in wanted]
    items[:] = [item for item in items if junit_name(item.nodeid) in wanted]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run the tests that are not redirected with the path that a direct run has."""
    if item.nodeid not in os.environ.get(PLAIN_TESTS_VARIABLE, "").splitlines():
        return (yield)
    path = os.environ["JUPYTER_PATH"]
    os.environ["JUPYTER_PATH"] = os.environ[PLAIN_PATH_VARIABLE]
    try:
        return (yield)
    finally:
        os.environ["JUPYTER_PATH"] = path


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event != "subprocess.Popen" or not _from_launcher():
        return
    argv = arguments[1]
    words = [os.fsdecode(word) for word in argv] if isinstance(argv, (list, tuple)) else [str(argv)]
    record = {"test": os.environ.get("PYTEST_CURRENT_TEST", ""), "argv": words}
    with open(os.environ[FILE_VARIABLE], "a", buffering=1) as file:
        file.write(json.dumps(record) + "\n")


def _from_launcher() -> bool:
    frame = sys._getframe(1)
    for _ in range(_FRAMES_TO_LAUNCHER):
        if frame.f_code.co_filename.endswith(_LAUNCHER):
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


if FILE_VARIABLE in os.environ:
    sys.addaudithook(_note)
