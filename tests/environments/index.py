"""A package index on this machine that can be taken away, as a network can."""

from __future__ import annotations

import functools
import http.server
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=0")  # else uv would not ask again so soon
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Serve a directory. It is gone in the end, and so are its connections."""
    handler = functools.partial(_Handler, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make_index(directory: Path) -> None:
    """Make an index that has one package: ``toy``."""
    packages = directory / "simple" / "toy"
    packages.mkdir(parents=True)
    wheel = packages / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy.py", "version = '1.0'\n")
        names = ["toy.py"]
        for name, text in _METADATA.items():
            names.append(f"toy-1.0.dist-info/{name}")
            archive.writestr(names[-1], text)
        names.append("toy-1.0.dist-info/RECORD")
        archive.writestr(names[-1], "".join(f"{name},,\n" for name in names))
    (packages / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
