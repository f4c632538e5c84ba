"""Jupyter Server's REST API of kernelspecs: installed kernels, and sessions that run as such.

A session is "Shared: NAME", a kernelspec of its own: whoever starts it attaches.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from jupyter_client.kernelspec import KernelSpec
from traitlets import TraitError

from proxy.daemon.jupyter_vocabulary import Kernelspec, KernelspecModel, Kernelspecs
from proxy.daemon.vocabulary import AUTO, AUTO_DISPLAY_NAME, AUTO_METADATA
from proxy.endpoints.routes import Request, Response, Route, json_response
from proxy.errors import NotFound
from proxy.kernels.specs import SHARED_METADATA, SHARED_PREFIX, RealKernelSpecManager

if TYPE_CHECKING:
    from proxy.daemon.sessions import Sessions

RESOURCES = ("logo-*", "kernel.js", "kernel.css")
"""Files of a kernelspec that frontends load (Jupyter Server, kernelspec_model)."""


_AUTO = KernelspecModel(
    name=AUTO,
    spec=Kernelspec(display_name=AUTO_DISPLAY_NAME, language="python", metadata=AUTO_METADATA),
    resources={},
)


class KernelspecApi:
    """The routes of ``/api/kernelspecs`` and of what they refer to."""

    def __init__(self, sessions: Sessions, default: str) -> None:
        self._sessions = sessions
        self._default = default

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route(
                method="GET",
                path="/api/kernelspecs",
                answer=self._list,
                summary="Installed kernels, and each session as one (shared-NAME).",
                gives=Kernelspecs,
            ),
            Route(
                method="GET",
                path="/api/kernelspecs/{name}",
                answer=self._get,
                summary="A kernelspec.",
                gives=KernelspecModel,
            ),
            Route(
                method="GET",
                path="/kernelspecs/{name}/{file}",
                answer=self._resource,
                summary="A file of a kernelspec that frontends load: its logo.",
                gives=bytes,
            ),
        ]

    async def _list(self, request: Request) -> Response:
        return json_response(Kernelspecs(default=self._default, kernelspecs=await self._models()))

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

    async def _models(self) -> dict[str, KernelspecModel]:
        models = {AUTO: _AUTO, **await trio.to_thread.run_sync(_installed)}
        for live in self._sessions.all():
            name, kernel = f"{SHARED_PREFIX}{live.name}", live.state.kernel_name
            like = models.get(kernel)
            language = live.describe().language or (like.spec.language if like else "")
            spec = Kernelspec(
                display_name=f"Shared: {live.name}",
                language=language,
                metadata={SHARED_METADATA: {"session": live.name}},
            )
            resources = like.resources if like else {}
            models[name] = KernelspecModel(name=name, spec=spec, resources=resources)
        return models


def _directories() -> dict[str, Path]:
    found = RealKernelSpecManager().find_kernel_specs()
    return {name: Path(directory) for name, directory in found.items()}


def _installed() -> dict[str, KernelspecModel]:
    """Read all kernelspecs. One that is damaged is nobody's kernel."""
    models = {}
    for name, directory in _directories().items():
        try:
            spec = KernelSpec.from_resource_dir(str(directory))
        except (OSError, ValueError, TraitError):
            continue
        models[name] = KernelspecModel(
            name=name,
            spec=Kernelspec(
                argv=spec.argv,
                env=spec.env,
                display_name=spec.display_name,
                language=spec.language,
                interrupt_mode=spec.interrupt_mode,
                metadata=spec.metadata,
                kernel_protocol_version=spec.kernel_protocol_version,
            ),
            resources={
                file if file.startswith("kernel.") else file.rpartition(".")[0]: (
                    f"/kernelspecs/{name}/{file}"
                )
                for file in _resources(directory)
            },
        )
    return models


def _resources(directory: Path) -> list[str]:
    return sorted({file.name for each in RESOURCES for file in directory.glob(each)})
