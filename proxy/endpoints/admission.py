"""Who may come in over HTTP: who has the token, and does not come through somebody else's page.

Theory. The token is the only right that there is: nothing is remembered of a browser (no cookie),
so a page of another site has nothing that it could borrow. What stays are two ways to come near,
and both are closed before the token is looked at:

* a page whose own name is made to lead to this machine (DNS rebinding) reads what it asks for as
  its own: so the request must name this machine by an address, or as "localhost";
* a page of another site that got hold of a token, in a link or a log. A browser says where a page
  came from (``Origin``): it must be this machine too, on whatever port, since that is where
  JupyterLab is. "null" is what kernels' own HTML has in a sandbox: it is refused. Who is no browser
  says nothing.

Before a page of another origin may ask for more than a plain GET, its browser asks whether it may
(a "preflight", of the Fetch standard). That question cannot have the token, so what it is answered
is the same for each path, whether there is something or not.

Of the token alone is a route free that is public: a page that is the same for everybody, and asks
its reader for the token.

On a Unix socket all this is not asked: no page can connect to one, and who may is told by the file
and its directory (``unix_front.py``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from proxy.endpoints.routes import Request, Response, refusal

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SCHEMES = ("bearer ", "token ")
"""Of the header Authorization: the standard's, and Jupyter's."""

_PREFLIGHT_SECONDS = 600
_WHAT_PAGES_MAY = (
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    ("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, X-XSRFToken"),
    ("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS)),
)
"""The headers are those that Jupyter's server lets pass, since JupyterLab sends them."""


class Admission:
    """The rules for one address. ``origins`` are pages from elsewhere that may come as well.

    Who has ``read_only_token`` may look, and not touch.
    """

    def __init__(
        self,
        token: str,
        address: str,
        origins: Iterable[str] = (),
        read_only_token: str | None = None,
    ) -> None:
        self._token = token.encode()
        self._read_only_token = (read_only_token or secrets.token_urlsafe()).encode()
        self._names = LOCAL_NAMES | {address.lower()}
        self._origins = frozenset(origins)

    def refusal_of(self, request: Request, *, is_public: bool = False) -> Response | None:
        """Return why a request is refused; None where it is not."""
        if (refused := self._stranger(request)) is not None or is_public:
            return refused
        if self._knows(self._token, request) or self.may_only_look(request):
            return None
        return refusal(403, "the token is missing, or is another")

    def preflight_of(self, request: Request) -> Response | None:
        """Return what a browser is answered that asks for a page; None where it is no preflight."""
        asked = request.header(b"access-control-request-method")
        if request.method != "OPTIONS" or asked is None or request.header(b"origin") is None:
            return None
        return self._stranger(request) or Response(status=204, headers=_WHAT_PAGES_MAY)

    def reader_of(self, request: Request) -> str | None:
        """Return the origin whose pages may read the answer, be it a refusal."""
        origin = request.header(b"origin")
        return origin if origin is not None and self.is_welcome(origin) else None

    def _stranger(self, request: Request) -> Response | None:
        if _host_in(request.header(b"host") or "") not in self._names:
            return refusal(403, "this server is not called so; use its address, or localhost")
        origin = request.header(b"origin")
        if origin is not None and not self.is_welcome(origin):
            return refusal(403, "pages of this origin are not allowed here")
        return None

    def is_welcome(self, origin: str) -> bool:
        """Whether a page from there may come."""
        if origin in self._origins:
            return True
        scheme, separator, host = origin.partition("://")
        return bool(separator) and scheme in ("http", "https") and _host_in(host) in self._names

    def may_only_look(self, request: Request) -> bool:
        """Whether the token is the one for that."""
        return self._knows(self._read_only_token, request)

    def _knows(self, token: bytes, request: Request) -> bool:
        given = request.query.get("token")
        authorization = request.header(b"authorization") or ""
        for scheme in _SCHEMES:
            if authorization.lower().startswith(scheme):
                given = authorization[len(scheme) :].strip()
        return given is not None and secrets.compare_digest(given.encode(), token)


def _host_in(host: str) -> str | None:
    """Return a name or an address without its port. None where it is neither."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
