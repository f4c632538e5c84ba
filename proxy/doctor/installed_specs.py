"""The kernelspecs that are installed, also those that cannot be read or that another one hides.

"python" in a kernelspec is the Python that starts it (jupyter_client's ``format_kernel_cmd``): the
one that kmux runs in.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Mapping
from string import Template
from typing import Any

import msgspec

_OURS = {"python", f"python{sys.version_info[0]}", "python{}.{}".format(*sys.version_info)}


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """An installed kernelspec."""

    name: str
    directory: str
    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}
    provisioner: str = ""
    """What starts it, where that is not jupyter_client's own: perhaps on another machine."""
    shares: dict[str, Any] | None = None
    """What kmux's own kernelspecs share: {"kernel": …} or {"session": …}."""
    damage: str = ""
    """Why it cannot be read."""

    @property
    def program(self) -> str | None:
        """The program that it runs, if there is one."""
        return shutil.which(self.argv[0], path=self.environment.get("PATH")) if self.argv else None

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that its kernel has."""
        return {**os.environ, **dict(self.own_environment)}

    @property
    def own_environment(self) -> tuple[tuple[str, str], ...]:
        """What is other in it than here."""
        given = sorted(self.env.items())
        return tuple((name, Template(text).safe_substitute(os.environ)) for name, text in given)

    def python(self, modules: Collection[str]) -> tuple[str, ...] | None:
        """Return what runs Python, where it is to run one of these modules."""
        for position, word in enumerate(self.argv[:-1]):
            following = self.argv[position + 1]
            is_script = word == "-c" and any(module in following for module in modules)
            if position and (is_script or (word == "-m" and following in modules)):
                return self.argv[:position]
        return None


def installed() -> list[Spec]:
    """Return all of them, by name: what frontends see, and what kmux sees."""
    from jupyter_client.kernelspec import KernelSpecManager

    from proxy.kernels.specs import RealKernelSpecManager

    real = RealKernelSpecManager()  # whose directories cost no import of IPython
    seen = KernelSpecManager(kernel_dirs=real.kernel_dirs, ensure_native_kernel=False)
    directories = {*seen.find_kernel_specs().items(), *real.find_kernel_specs().items()}
    return [_read(name, directory) for name, directory in sorted(directories)]


def _read(name: str, directory: str) -> Spec:
    from jupyter_client.kernelspec import KernelSpec
    from traitlets import TraitError

    from proxy.kernels.specs import SHARED_METADATA

    try:
        spec = KernelSpec.from_resource_dir(directory)
        metadata = dict(spec.metadata)
    except (OSError, ValueError, TypeError, TraitError) as error:
        return Spec(name=name, directory=directory, damage=" ".join(str(error).split()))
    argv = tuple(spec.argv)
    if argv and argv[0] in _OURS:
        argv = (sys.executable, *argv[1:])
    starts = metadata.get("kernel_provisioner")
    provisioner = str(starts.get("provisioner_name", "")) if isinstance(starts, dict) else ""
    shares = metadata.get(SHARED_METADATA)
    return Spec(
        name=name,
        directory=directory,
        argv=argv,
        env={key: str(value) for key, value in spec.env.items()},
        provisioner="" if provisioner == "local-provisioner" else provisioner,
        shares=shares if shares is None or isinstance(shares, dict) else {},
    )
