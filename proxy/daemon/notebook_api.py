"""Jupyter Server's REST API of sessions: which notebook has which kernel.

What Jupyter calls a session is a path and a kernel, for a frontend that finds its kernel again by
its notebook. DELETE forgets that, and leaves the kernel.
"""

from __future__ import annotations

import uuid

import msgspec

from proxy.daemon.attachments import Attachments
from proxy.daemon.jupyter_vocabulary import (
    KernelWish,
    NewNotebook,
    NotebookChange,
    NotebookFile,
    NotebookModel,
)
from proxy.daemon.kernel_api import KernelApi
from proxy.daemon.state import NotebookState
from proxy.endpoints.routes import Request, Response, Route, json_response

ONE = "/api/sessions/{session_id}"


class NotebookApi:
    """The routes of ``/api/sessions``."""

    def __init__(self, kernels: KernelApi, attachments: Attachments) -> None:
        self._kernels = kernels
        self._attachments = attachments

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route(
                method="GET",
                path="/api/sessions",
                answer=self._list,
                summary="All notebooks that have a kernel.",
                gives=list[NotebookModel],
            ),
            Route(
                method="POST",
                path="/api/sessions",
                answer=self._create,
                summary="Give a notebook a kernel, or find the one that it has.",
                takes=NewNotebook,
                gives=NotebookModel,
                status=201,
                refuses=(404, 409, 503),
            ),
            Route(
                method="GET",
                path=ONE,
                answer=self._get,
                summary="A notebook and its kernel.",
                gives=NotebookModel,
            ),
            Route(
                method="PATCH",
                path=ONE,
                answer=self._change,
                summary="Say that it is elsewhere now, or give it another kernel.",
                takes=NotebookChange,
                gives=NotebookModel,
                refuses=(409, 503),
            ),
            Route(
                method="DELETE",
                path=ONE,
                answer=self._forget,
                summary="Forget the notebook; its kernel goes on.",
            ),
        ]

    async def _list(self, request: Request) -> Response:
        notebooks = [notebook for notebook, _ in self._attachments.notebooks()]
        return json_response([self._model(each) for each in notebooks])

    async def _get(self, request: Request) -> Response:
        return json_response(self._model(self._attachments.notebook(_id(request))[0]))

    async def _create(self, request: Request) -> Response:
        wish = request.read(NewNotebook)
        same = [each for each, _ in self._attachments.notebooks() if each.path == wish.path]
        notebook = same[0] if same else None
        if notebook is None:
            notebook = NotebookState(
                id=str(uuid.uuid4()),
                kernel_id=await self._kernel(wish.kernel or KernelWish(), wish.path),
                path=wish.path,
                name=wish.name or "",
                type=wish.type or "notebook",
            )
            self._attachments.put(notebook)
        location = ("Location", f"/api/sessions/{notebook.id}")
        return json_response(self._model(notebook), location, status=201)

    async def _change(self, request: Request) -> Response:
        notebook, _ = self._attachments.notebook(_id(request))
        wish = request.read(NotebookChange)
        if wish.kernel is not None and wish.kernel.id != notebook.kernel_id:
            kernel_id = await self._kernel(wish.kernel, wish.path or notebook.path)
            notebook = msgspec.structs.replace(notebook, kernel_id=kernel_id)
        notebook = msgspec.structs.replace(
            notebook,
            path=wish.path or notebook.path,
            name=notebook.name if wish.name is None else wish.name,
            type=wish.type or notebook.type,
        )
        self._attachments.put(notebook)
        return json_response(self._model(notebook))

    async def _forget(self, request: Request) -> Response:
        notebook = self._attachments.remove(_id(request))
        others = [each.kernel_id for each, _ in self._attachments.notebooks()]
        if notebook.kernel_id not in others:
            self._attachments.detach(notebook.kernel_id)
        return Response(status=204)

    async def _kernel(self, wish: KernelWish, path: str) -> str:
        """Return the id of a kernel that runs, or of one that is started. Raises as that does."""
        if wish.id:
            self._attachments.find(wish.id)
            return wish.id
        return await self._kernels.start(wish.name, {}, path)

    def _model(self, notebook: NotebookState) -> NotebookModel:
        live = self._attachments.find(notebook.kernel_id)
        return NotebookModel(
            id=notebook.id,
            path=notebook.path,
            name=notebook.name,
            type=notebook.type,
            kernel=self._kernels.model(notebook.kernel_id, live),
            notebook=NotebookFile(path=notebook.path, name=notebook.name),
        )


def _id(request: Request) -> str:
    return request.places["session_id"]
