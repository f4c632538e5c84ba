"""What Jupyter Server's REST API is asked, and what it answers: the JSON of ``/api``.

The names are Jupyter Server's. What it calls a session, a notebook on a kernel, is called a
notebook here.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Of kmux."""

    version: str


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What goes on, in numbers."""

    started: str
    last_activity: str
    connections: int
    kernels: int


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, as far as a token tells."""

    username: str
    name: str
    display_name: str
    initials: str | None = None
    avatar_url: str | None = None
    color: str | None = None


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    identity: Identity
    permissions: dict[str, list[str]] = {}


class KernelOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Of which session a kernel is, and whether its id is an attachment's own."""

    session: str
    alias: bool


class KernelModel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel."""

    id: str
    name: str
    """Of its kernelspec."""
    last_activity: str
    execution_state: str
    connections: int
    kmux: KernelOrigin


class NewKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that is to be started, or (``shared-NAME``) a session that is to be joined."""

    name: str | None = None
    path: str | None = None
    env: dict[str, str] = {}


class Kernelspec(msgspec.Struct, frozen=True, kw_only=True):
    """A kernelspec's ``kernel.json``."""

    argv: list[str] = []
    env: dict[str, Any] = {}
    display_name: str
    language: str = ""
    interrupt_mode: str = "message"
    metadata: dict[str, Any] = {}
    kernel_protocol_version: str = ""


class KernelspecModel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernelspec, and where its files are."""

    name: str
    spec: Kernelspec
    resources: dict[str, str] = {}


class Kernelspecs(msgspec.Struct, frozen=True, kw_only=True):
    """All kernelspecs, by name."""

    default: str
    kernelspecs: dict[str, KernelspecModel]


class NotebookFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where a notebook is."""

    path: str
    name: str


class NotebookModel(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook, or the like, on a kernel."""

    id: str
    path: str
    name: str
    type: str
    kernel: KernelModel
    notebook: NotebookFile
    """For clients that are older than version 5 of the API."""


class KernelWish(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that runs, by its id, or one that is to be started, by its kernelspec."""

    id: str | None = None
    name: str | None = None


class NewNotebook(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook that is to have a kernel."""

    path: Annotated[str, Meta(min_length=1)]
    name: str | None = None
    type: str | None = None
    kernel: KernelWish | None = None


class NotebookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be another one of it: its place, its kernel."""

    path: str | None = None
    name: str | None = None
    type: str | None = None
    kernel: KernelWish | None = None
