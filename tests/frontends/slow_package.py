"""A package whose build takes as long as a test wants: so does an environment that has it."""

from __future__ import annotations

from pathlib import Path

# As PEP 517 wants it, of nothing that has to be downloaded.
BACKEND = """
import os, time, zipfile

def build_wheel(directory, settings=None, metadata=None):
    open("begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
    name = "slow-1.0-py3-none-any.whl"
    files = {
        "slow.py": "answer = 42",
        "slow-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: slow\\nVersion: 1.0\\n",
        "slow-1.0.dist-info/WHEEL":
            "Wheel-Version: 1.0\\nGenerator: it\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "slow-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""


class SlowPackage:
    """A package on this machine whose build waits."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "backend.py").write_text(BACKEND)
        (directory / "pyproject.toml").write_text(
            '[project]\nname = "slow"\nversion = "1.0"\n'
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )

    @property
    def requirement(self) -> str:
        return f"slow @ {self.directory.as_uri()}"

    def is_being_built(self) -> bool:
        return (self.directory / "begun").exists()

    def may_go_on(self) -> None:
        (self.directory / "go").touch()
