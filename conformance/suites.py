"""Which suites there are, with what they need to run: options, and the kernels to redirect."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import Any

from conformance.errors import ConformanceError

DRIVERS = Path(__file__).parent / "drivers"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """A kernelspec that stands in for the real one of the same name, and runs kmux."""

    name: str
    display_name: str
    language: str = "python"
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    kernel: str = ""
    """The real kernelspec that kmux is told to run, where it is not the one of this name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A test suite. ``distribution`` is its name on PyPI, as in its archive's file name."""

    name: str
    distribution: str
    redirects: tuple[Redirect, ...]
    options: tuple[str, ...] = ()
    drivers: bool = False
    """Whether the distribution is a library of tests, which our drivers configure."""
    plain: dict[str, str] = dataclasses.field(default_factory=dict)
    """Tests (as pytest names them) that run without redirection, with the reason."""
    limit_seconds: float = 3600


PYTHON = Redirect(
    name="python3",
    display_name="Python 3 (ipykernel)",
    metadata={"debugger": True, "supported_encryption": ["curve"]},
)

SIGNAL_KERNEL = "conformance-signalkernel"
"""jupyter_client's signal kernel without a provisioner: its tests' own provisioners are classes
in the test process, which kmux cannot load. They launch kmux, and kmux launches this."""


def _provisioned(name: str, provisioner: str, **config: object) -> Redirect:
    """Stand in for a kernelspec of jupyter_client's test_provisioning.py."""
    if provisioner:
        stanza: dict[str, Any] = {"provisioner_name": provisioner}
        metadata: dict[str, Any] = {
            "kernel_provisioner": stanza | ({"config": config} if config else {})
        }
    else:
        metadata = {}
    return Redirect(
        name=name,
        display_name=f"Signal Test Kernel w {provisioner or None}",
        metadata=metadata,
        kernel=SIGNAL_KERNEL,
    )


def _configured(name: str, provisioner: str) -> Redirect:
    return _provisioned(name, provisioner, config_var_1=42, config_var_2=name)


SUITES = (
    Suite(
        name="jupyter_kernel_test",
        distribution="jupyter_kernel_test",
        drivers=True,
        redirects=(
            PYTHON,
            Redirect(name="bash", display_name="Bash", language="bash"),
            Redirect(name="deno", display_name="Deno", language="typescript"),
            Redirect(
                name="xpython",
                display_name="Python 3 (XPython)",
                metadata={"debugger": True},
            ),
        ),
        options=("-p", "no:asyncio"),
        limit_seconds=900,
    ),
    Suite(
        name="jupyter_client",
        distribution="jupyter_client",
        redirects=(
            PYTHON,
            Redirect(name="echo", display_name="echo", language="echo"),
            *(
                Redirect(name=name, display_name="Signal Test Kernel")
                for name in ("signaltest", "signaltest-no-shutdown", "signaltest-no-terminate")
            ),
            *(
                Redirect(name=name, display_name="Problematic Test Kernel")
                for name in ("problemtest", "problemtest-fail", "problemtest-slow")
            ),
            _provisioned("no_provisioner", ""),
            _provisioned("default_provisioner", "local-provisioner"),
            _configured("subclassed_provisioner", "subclassed-test-provisioner"),
            _configured("custom_provisioner", "custom-test-provisioner"),
        ),
        # The suite's async tests are run by pytest-jupyter. Its thread method of time-outs ends
        # the whole run at the first one.
        options=("-p", "no:asyncio", "-o", "timeout_method=signal"),
        plain={
            "tests/test_kernelspecapp.py::test_kernelspec_sub_apps": (
                "lists and removes the kernelspec echo; starts no kernel"
            ),
            "tests/test_multikernelmanager.py::TestAsyncKernelManager::test_bad_kernelspec": (
                "its kernelspec names a program that does not exist"
            ),
            "tests/test_multikernelmanager.py::TestAsyncKernelManager::"
            "test_bad_kernelspec_pending": "its kernelspec names a program that does not exist",
            "tests/test_provisioning.py::TestRuntime::test_new": (
                "its kernelspec must not exist before the test makes it"
            ),
        },
    ),
    Suite(
        name="nbclient",
        distribution="nbclient",
        redirects=(PYTHON,),
        options=("-o", "asyncio_default_fixture_loop_scope=function", "--timeout=300"),
    ),
)


def choose(names: tuple[str, ...]) -> list[Suite]:
    """Return the suites of these names, all if there are none.

    Raises :class:`ConformanceError` for a name that is not a suite's.
    """
    known = {suite.name: suite for suite in SUITES}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4) or sorted(known)
            raise ConformanceError(f"no suite {name!r}; did you mean {' or '.join(near)}?")
    return [suite for suite in SUITES if not names or suite.name in names]
