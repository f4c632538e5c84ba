"""How a kernel is started that no kernelspec describes: what ``environments`` finds and ``kernels``
runs."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

CONNECTION_FILE = "{connection_file}"
"""Stands in a command line for the path of the kernel's connection file, as in a kernelspec."""
FROM_KERNELSPEC = "kernelspec"
"""Where a kernel's environment comes from that is whatever its kernelspec names."""
OF_ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONHOME")
"""What says that some environment is active: of another one it would be a lie."""


class KernelCommand(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel is started."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """What its environment has besides."""
    first_on_path: str = ""
    """The directory with the environment's programs."""
    language: str = "python"
    display_name: str = "Python 3"
    interrupt_mode: str = "signal"
    start_code: str = ""
    """What it runs before anything else, unseen."""
    key: str = ""
    """The environment in the store, so that it is not taken away while the kernel runs."""
    prefix: str = ""
    """``sys.prefix``"""

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a kernel that is asked for from among those."""
        if not self.first_on_path:
            return {**base, **self.env}
        kept = {name: value for name, value in base.items() if name not in OF_ENVIRONMENTS}
        path = os.pathsep.join(filter(None, (self.first_on_path, base.get("PATH", os.defpath))))
        return {**kept, "PATH": path, **self.env}
