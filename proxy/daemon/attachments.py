"""The ids under which frontends know sessions by HTTP, and the notebooks that they have on them.

A session's own id comes of the session, so it is the same in each daemon. Whoever attaches to one
that runs gets another id, an *alias*: JupyterLab minds widgets only on the first of its connections
to an id, and its server ends each kernel whose id it was given when it exits.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.daemon.state import Alias, NotebookState
from proxy.errors import Conflict, NotFound

if TYPE_CHECKING:
    from proxy.daemon.live import LiveSession
    from proxy.daemon.sessions import Sessions

MAX_ALIASES = 1000
"""Of one session: those of JupyterLabs that were killed stay."""
MAX_NOTEBOOKS = 1000
"""Of one session: those of clients that never delete them stay."""
_OURS = uuid.UUID("8b7f2b5e-3f0f-4d6c-9a57-6b2f0c4f2c11")


def own_id(live: LiveSession) -> str:
    """Return the kernel id of the session itself."""
    return str(uuid.uuid5(_OURS, live.state.id))


class Attachments:
    """All of them. They are kept with their sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # Kernels

    def sessions(self) -> Iterator[LiveSession]:
        """Yield those that are not over: what is left of one is written down for a moment."""
        yield from (live for live in self._sessions.all() if not live.hosted.runner.has_ended)

    def all(self) -> Iterator[tuple[str, LiveSession]]:
        """Yield each kernel id that there is, and its session."""
        for live in self.sessions():
            yield own_id(live), live
            for alias in live.state.aliases:
                yield alias.id, live

    def find(self, kernel_id: str) -> LiveSession:
        """Return the session of a kernel id. Raises :class:`NotFound`."""
        for each, live in self.all():
            if each == kernel_id:
                return live
        raise NotFound(f"Kernel does not exist: {kernel_id}")

    def attach(self, live: LiveSession) -> str:
        """Return another id for a session."""
        if len(live.state.aliases) >= MAX_ALIASES:
            raise Conflict(f"{live.name} has {MAX_ALIASES} attachments; delete some")
        alias = Alias(id=str(uuid.uuid4()), created=time.time())
        live.keep(aliases=[*live.state.aliases, alias])
        return alias.id

    def detach(self, kernel_id: str) -> None:
        """Take an id back, where it is an alias; the session goes on. Raises :class:`NotFound`."""
        live = self.find(kernel_id)
        left = [alias for alias in live.state.aliases if alias.id != kernel_id]
        notebooks = [each for each in live.state.notebooks if each.kernel_id != kernel_id]
        if left != live.state.aliases or notebooks != live.state.notebooks:
            live.keep(aliases=left, notebooks=notebooks)

    # Jupyter's sessions: notebooks on kernels

    def notebooks(self) -> Iterator[tuple[NotebookState, LiveSession]]:
        """Yield all of them."""
        for live in self.sessions():
            for each in live.state.notebooks:
                yield each, live

    def notebook(self, ident: str) -> tuple[NotebookState, LiveSession]:
        """Return one. Raises :class:`NotFound`."""
        for each, live in self.notebooks():
            if each.id == ident:
                return each, live
        raise NotFound(f"Session does not exist: {ident}")

    def put(self, notebook: NotebookState) -> None:
        """Keep a notebook with the session of its kernel, and nowhere else. Raises
        :class:`NotFound`, :class:`Conflict`."""
        live = self.find(notebook.kernel_id)
        here = {each.id for each in live.state.notebooks} | {notebook.id}
        if len(here) > MAX_NOTEBOOKS:
            raise Conflict(f"{live.name} has {MAX_NOTEBOOKS} notebooks; delete some")
        for each, other in tuple(self.notebooks()):
            if each.id == notebook.id and other is not live:
                self.remove(notebook.id)
        others = [each for each in live.state.notebooks if each.id != notebook.id]
        live.keep(notebooks=[*others, notebook])

    def remove(self, ident: str) -> NotebookState:
        """Forget a notebook. Raises :class:`NotFound`."""
        notebook, live = self.notebook(ident)
        live.keep(notebooks=[each for each in live.state.notebooks if each.id != ident])
        return notebook
