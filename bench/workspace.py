"""A home of its own for a run: temporary directories, kernelspecs, and the environment for them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

SYNTHETIC = "bench-synthetic"
IPYKERNEL = "bench-ipykernel"
KERNEL_COMMANDS = {
    SYNTHETIC: [sys.executable, "-m", "bench.synthetic_kernel", "{connection_file}"],
    IPYKERNEL: [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
}
_FOREIGN = ("JUPYTER", "JPY_", "IPYTHON", "KMUX", "XDG_", "PYTHON")
"""Variables that could point a process of the run at the user's own files."""
_KMUX_DIRECTORIES = {"KMUX_RUNTIME_DIR": "k", "KMUX_DATA_DIR": "d", "KMUX_CACHE_DIR": "c"}


@dataclass(frozen=True)
class Workspace:
    directory: Path
    environment: dict[str, str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_file(self, stem: str) -> Path:
        """Return a path that nothing has used yet."""
        return self.directory / f"{stem}-{next(self._numbers)}.json"


def with_pool(workspace: Workspace, name: str, *, size: int, kernels: bool = True) -> Workspace:
    """Return a workspace for a daemon of its own, which keeps so many environments waiting.

    It shares uv's cache with others of the run, on the same file system as its environments: as
    for a user, files are linked and not copied.
    """
    environment = dict(workspace.environment)
    for variable, part in _KMUX_DIRECTORIES.items():
        directory = workspace.directory / name / part
        directory.mkdir(mode=0o700, parents=True)
        environment[variable] = str(directory)
    environment |= {
        "UV_CACHE_DIR": str(workspace.directory / "uv"),
        "KMUX_POOL_UV": str(size),
        "KMUX_POOL_KERNELS": str(kernels).lower(),
    }
    return replace(workspace, environment=environment)


def record_directory(workspace: Workspace, session: str) -> Path:
    """Return where kmux keeps the record of a session."""
    return Path(workspace.environment["KMUX_DATA_DIR"]) / "records" / session


@contextlib.contextmanager
def open_workspace() -> Iterator[Workspace]:
    """Make the directories; they are removed at the end. The path is short: it holds sockets."""
    with tempfile.TemporaryDirectory(prefix="kb-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        for variable, part in {
            "HOME": "home",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_PATH": "path",
            "JUPYTER_RUNTIME_DIR": "runtime",
            **_KMUX_DIRECTORIES,
        }.items():
            (directory / part).mkdir(mode=0o700)
            environment[variable] = str(directory / part)
        environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
        environment["JUPYTER_NO_CONFIG"] = "1"
        environment |= {"KMUX_POOL_UV": "0", "KMUX_POOL_CONDA": "0"}  # but where they are measured
        for kernel, argv in KERNEL_COMMANDS.items():
            specification = directory / "path" / "kernels" / kernel
            specification.mkdir(parents=True)
            (specification / "kernel.json").write_text(
                json.dumps({"argv": argv, "display_name": kernel, "language": "python"})
            )
        yield Workspace(directory, environment)
