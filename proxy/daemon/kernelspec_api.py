"""Jupyter Server's REST API of kernelspecs: installed kernels, and sessions that run as such.

A session is "Shared: NAME", a kernelspec of its own: whoever starts it attaches.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from jupyter_client.kernelspec import KernelSpec
from traitlets import TraitError

from proxy.endpoints.routes import Request, Response, Route, json_response
from proxy.errors import NotFound
from proxy.kernels.specs import SHARED_METADATA, SHARED_PREFIX, RealKernelSpecManager

if TYPE_CHECKING:
    from proxy.daemon.sessions import Sessions

RESOURCES = ("logo-*", "kernel.js", "kernel.css")
"""Files of a kernelspec that frontends load (Jupyter Server, kernelspec_model)."""


class KernelspecApi:
    """The routes of ``/api/kernelspecs`` and of what they refer to."""

    def __init__(self, sessions: Sessions, default: str) -> None:
        self._sessions = sessions
        self._default = default

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route(method="GET", path="/api/kernelspecs", answer=self._list),
            Route(method="GET", path="/api/kernelspecs/{name}", answer=self._get),
            Route(method="GET", path="/kernelspecs/{name}/{file}", answer=self._resource),
        ]

    async def _list(self, request: Request) -> Response:
        return json_response({"default": self._default, "kernelspecs": await self._models()})

    async def _get(self, request: Request) -> Response:
        name = request.places["name"]
        model = (await self._models()).get(name)
        if model is None:
            raise NotFound(f"Kernel spec {name} not found")
        return json_response(model)

    async def _resource(self, request: Request) -> Response:
        name, file = request.places["name"], request.places["file"]
        directory = (await trio.to_thread.run_sync(_directories)).get(name)
        if directory is None or file not in _resources(directory):
            raise NotFound(f"Kernelspec resource not found: {name}/{file}")
        body = await trio.Path(directory / file).read_bytes()
        kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
        return Response(
            headers=(("Content-Type", kind), ("Content-Security-Policy", "sandbox")), body=body
        )

    async def _models(self) -> dict[str, Any]:
        models = await trio.to_thread.run_sync(_installed)
        for live in self._sessions.all():
            name, kernel = f"{SHARED_PREFIX}{live.name}", live.state.kernel_name
            like = models.get(kernel, {"spec": {}, "resources": {}})
            spec: dict[str, Any] = {
                "argv": [],
                "env": {},
                "display_name": f"Shared: {live.name}",
                "language": live.describe().language or like["spec"].get("language", ""),
                "interrupt_mode": "message",
                "metadata": {SHARED_METADATA: {"session": live.name}},
            }
            models[name] = {"name": name, "spec": spec, "resources": like["resources"]}
        return models


def _directories() -> dict[str, Path]:
    found = RealKernelSpecManager().find_kernel_specs()
    return {name: Path(directory) for name, directory in found.items()}


def _installed() -> dict[str, Any]:
    """Read all kernelspecs. One that is damaged is nobody's kernel."""
    models = {}
    for name, directory in _directories().items():
        try:
            spec = KernelSpec.from_resource_dir(str(directory)).to_dict()
        except (OSError, ValueError, TraitError):
            continue
        models[name] = {
            "name": name,
            "spec": spec,
            "resources": {
                file if file.startswith("kernel.") else file.rpartition(".")[0]: (
                    f"/kernelspecs/{name}/{file}"
                )
                for file in _resources(directory)
            },
        }
    return models


def _resources(directory: Path) -> list[str]:
    return sorted({file.name for each in RESOURCES for file in directory.glob(each)})
