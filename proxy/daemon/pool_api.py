"""The pool of prewarmed environments, for ``kmux pool``: how it is, fill it, throw it away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from proxy.daemon.vocabulary import PoolStatus, ThrownAway
from proxy.endpoints.routes import Request, Response, Route, json_response

if TYPE_CHECKING:
    from proxy.daemon.prewarming import Prewarming

PATH = "/kmux/pool"


class PoolApi:
    """The routes."""

    def __init__(self, pool: Callable[[], Awaitable[Prewarming]]) -> None:
        """``pool`` waits until there is one, and raises :class:`Conflict` where there is none."""
        self._pool = pool

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route(
                method="GET",
                path=PATH,
                answer=self._tell,
                summary="Environments and kernels that wait for notebooks that ask for none.",
                gives=PoolStatus,
                refuses=(409,),
            ),
            Route(
                method="POST",
                path=PATH,
                answer=self._warm,
                summary="Fill the pool at once, and answer when it is full or that has failed.",
                gives=PoolStatus,
                refuses=(409,),
            ),
            Route(
                method="DELETE",
                path=PATH,
                answer=self._flush,
                summary="Throw away what waits; others are made.",
                gives=ThrownAway,
                refuses=(409,),
            ),
        ]

    async def _tell(self, request: Request) -> Response:
        return json_response((await self._pool()).status())

    async def _warm(self, request: Request) -> Response:
        pool = await self._pool()
        await pool.warm()
        return json_response(pool.status())

    async def _flush(self, request: Request) -> Response:
        return json_response(ThrownAway(count=await (await self._pool()).flush()))
