"""Find installed kernelspecs, other than the ones that run kmux itself."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_path
from traitlets import TraitError

from proxy.errors import ConfigError

SHARED_METADATA = "kmux"
"""The key in a kernelspec's metadata that says that its argv runs kmux."""
SHARED_PREFIX = "shared-"
"""Of the kernelspec of a session: ``shared-analysis``."""


class RealKernelSpecManager(KernelSpecManager):
    """Kernelspecs of real kernels, in Jupyter's order of directories.

    A kernelspec that runs kmux is passed over, also where it has the name of a real one further
    down the path: it would start itself for ever.
    """

    def _kernel_dirs_default(self) -> list[str]:
        # Jupyter's own default imports IPython to ask for this directory: 25 MB and 0.3 s.
        ipython = os.environ.get("IPYTHONDIR") or os.path.expanduser("~/.ipython")
        return [*jupyter_path("kernels"), os.path.join(ipython, "kernels")]

    def find_kernel_specs(self) -> dict[str, str]:
        """Return resource directories by kernel name."""
        found: dict[str, str] = {}
        for directory in self.kernel_dirs:
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if entry.name.lower() not in found and _is_real(Path(entry.path)):
                    found[entry.name.lower()] = entry.path
        return found

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return one kernelspec. Raises ``NoSuchKernel``."""
        directory = self.find_kernel_specs().get(kernel_name.lower())
        if directory is None:
            raise NoSuchKernel(kernel_name)
        return KernelSpec.from_resource_dir(directory)


def _is_real(directory: Path) -> bool:
    try:
        spec = json.loads((directory / "kernel.json").read_bytes())
        return SHARED_METADATA not in spec.get("metadata", {})
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def find(name: str) -> KernelSpec:
    """Return the kernelspec of this name.

    Raises :class:`ConfigError` that names the nearest ones where there is none, or where it is
    not what a kernelspec may be.
    """
    manager = RealKernelSpecManager()
    try:
        return manager.get_kernel_spec(name)
    except NoSuchKernel:
        pass
    except TraitError as error:
        raise ConfigError(f"the kernelspec of {name!r} is wrong: {error}") from None
    names = sorted(manager.find_kernel_specs())
    if not names:
        raise ConfigError(
            f"no kernel {name!r}: no kernel is installed; 'pip install ipykernel' brings python3"
        )
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[:8]
    raise ConfigError(f"no kernel {name!r}; installed: {', '.join(near)}")
