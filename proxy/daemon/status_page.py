"""The files of the status page, as they are in this package: the same for everybody.

They hold no secrets, so they are served without a token: the page takes that out of its own
address, or asks for it. All that it shows of kernels it gets with the token.

Nothing runs on it but what is in these files, and nothing is loaded from elsewhere: its origin has
the whole API.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from proxy.endpoints.routes import Request, Response, Route
from proxy.errors import NotFound

DIRECTORY = Path(__file__).with_name("page")
INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def page_routes() -> list[Route]:
    """Return the routes of the page and of what it is made of. The files are read now."""
    files = {path.name: _answer_with(path) for path in DIRECTORY.iterdir() if path.is_file()}

    async def index(request: Request) -> Response:
        return _unless_known(files[INDEX], request)

    async def part(request: Request) -> Response:
        found = files.get(request.places["file"])
        if found is None:
            raise NotFound("the page has no such part")
        return _unless_known(found, request)

    return [
        Route(
            method="GET",
            path="/",
            answer=index,
            is_public=True,
            summary="A page that shows what runs, for people.",
            gives=str,
        ),
        Route(
            method="GET",
            path="/page/{file}",
            answer=part,
            is_public=True,
            summary="What the page is made of.",
            gives=bytes,
        ),
    ]


def _answer_with(path: Path) -> Response:
    body = path.read_bytes()
    return Response(
        headers=(
            ("Content-Type", MEDIA_TYPES[path.suffix]),
            ("Content-Security-Policy", POLICY),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-cache"),
            ("ETag", f'"{hashlib.sha256(body).hexdigest()[:32]}"'),
        ),
        body=body,
    )


def _unless_known(answer: Response, request: Request) -> Response:
    """Answer that nothing changed to who has it already."""
    if ("ETag", request.header(b"if-none-match")) in answer.headers:
        return Response(status=304, headers=answer.headers)
    return answer
