"""The kernelspecs of a run: the real ones that no package installs, and those that run kmux.

``JUPYTER_PATH`` comes before every other directory, and fixtures that replace HOME and the
Jupyter directories leave it alone. A kernelspec there whose metadata has the key "kmux" is what
a suite finds, and is passed over by kmux, which finds the real one of that name further down.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from conformance import launch
from conformance.suites import SIGNAL_KERNEL, Redirect


def write_real(directory: Path) -> None:
    """Write the kernelspecs of real kernels that their packages do not install."""
    deno = str(Path(sysconfig.get_path("scripts")) / "deno")
    _write(
        directory,
        "deno",
        [deno, "jupyter", "--kernel", "--conn", "{connection_file}"],
        display_name="Deno",
        language="typescript",
        env={"DENO_NO_UPDATE_CHECK": "1"},
    )
    _write(
        directory,
        "bash",
        [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"],
        display_name="Bash",
        language="bash",
        env={"PS1": "$"},
    )
    _write(
        directory,
        SIGNAL_KERNEL,
        [sys.executable, "-m", "tests.signalkernel", "-f", "{connection_file}"],
        display_name="Signal Test Kernel",
        language="python",
        env={"TEST_VARS": "${TEST_VARS}:test_var_2"},
    )


def write_redirects(directory: Path, redirects: tuple[Redirect, ...], count_file: Path) -> None:
    """Write kernelspecs that run kmux and leave a line in ``count_file`` for each kernel."""
    for redirect in redirects:
        kernel = redirect.kernel or redirect.name
        kmux = ["run", "--kernel", kernel, "-f", "{connection_file}"]
        _write(
            directory,
            redirect.name,
            [sys.executable, "-IS", os.path.abspath(launch.__file__), str(count_file), *kmux],
            display_name=redirect.display_name,
            language=redirect.language,
            metadata={**redirect.metadata, "kmux": {"kernel": kernel}},
        )


def _write(directory: Path, name: str, argv: list[str], **rest: Any) -> None:
    kernelspec = directory / "kernels" / name
    kernelspec.mkdir(parents=True)
    (kernelspec / "kernel.json").write_text(json.dumps({"argv": argv, **rest}, indent=1))
