"""Who asked what: the requests that were sent to the kernel, and whose they are.

Theory: a reply is routed by its parent's msg_id, never by its type (tslab answers
comm_info_request with complete_reply). Two frontends may use one msg_id: then the routing prefix
that most kernels give back decides, and for kernels that drop it (Deno) the order of asking. A
prefix alone serves for requests that were sent before kmux was restarted.

A request is *answered* when its reply passed and *idled* when its idle passed; the two come on
different sockets in either order. It is forgotten when both are there. Some requests are never
answered (ipykernel: unknown types), some never idled (Deno: control), comm messages have no
reply, and what kmux gave up may be answered late: those are kept, oldest first to go, up to
``MAX_RETIRED``. One that is neither stays.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.message import Channel, ClientId, Message, MsgId, Origin

MAX_RETIRED = 1000
"""Requests that are answered or idled, but not both, and still routable."""

MAX_OPEN = 50_000
"""Requests that wait for the kernel. A frontend that sends more than this is not a person's."""


class Request:
    """One request on its way. ``origin`` is its header; its content is not kept."""

    __slots__ = ("answered", "channel", "client", "given_up", "idled", "origin")

    def __init__(self, client: ClientId, channel: Channel, origin: Origin) -> None:
        self.client = client
        self.channel = channel
        self.origin = origin
        self.answered = False
        self.idled = False
        self.given_up = False

    @property
    def expects_reply(self) -> bool:
        """Whether the protocol defines a reply to it (comm messages have none)."""
        return self.origin.header.msg_type.endswith("_request")


def reply_type(origin: Origin) -> str:
    """Return the msg_type of what answers a request."""
    return origin.header.msg_type.removesuffix("_request") + "_reply"


class Requests:
    """The table of requests in the order in which they were sent."""

    def __init__(self) -> None:
        self._by_id: dict[MsgId, list[Request]] = {}
        self._retired: dict[Request, None] = {}  # in order
        self._open = 0

    def __len__(self) -> int:
        return self._open + len(self._retired)

    @property
    def full(self) -> bool:
        """Whether no further request can be taken."""
        return self._open >= MAX_OPEN

    def add(self, client: ClientId, channel: Channel, message: Message) -> Request:
        """Remember a request that goes to the kernel now."""
        request = Request(client, channel, message.origin)
        self._by_id.setdefault(message.header.msg_id, []).append(request)
        self._open += 1
        return request

    def of(self, message: Message, routing: tuple[bytes, ...]) -> Request | None:
        """Find the request that a message of the kernel belongs to."""
        if message.parent is None:
            return None
        candidates = self._by_id.get(message.parent.msg_id)
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0]
        ours = [r for r in candidates if r.client == routing] or candidates
        return next((r for r in ours if not r.answered), ours[0])

    def open_of(self, client: ClientId, msg_id: MsgId) -> Request | None:
        """Find a client's request that has no reply."""
        candidates = self._by_id.get(msg_id, ())
        return next((r for r in candidates if r.client == client and not r.answered), None)

    def answered(self, request: Request) -> bool:
        """A reply to this request is about to be sent. Whether it is the first one."""
        if request.answered:
            if request.given_up:  # the late one
                request.given_up = False
                self._mark(request)
            return False
        self._mark(request, answered=True)
        return True

    def give_up(self, request: Request) -> bool:
        """kmux answers this request, which the kernel may still do. Whether it had no reply.

        It is remembered, so that a late reply is nobody's.
        """
        if request.answered:
            return False
        request.given_up = True
        self._mark(request, answered=True)
        return True

    def idled(self, msg_id: MsgId) -> None:
        """The kernel published idle for this request."""
        for request in self._by_id.get(msg_id, ()):
            if not request.idled:
                self._mark(request, idled=True)
                return

    def waiting(self) -> Iterator[Request]:
        """The requests that expect a reply and have none, in order of asking."""
        for requests in self._by_id.values():
            for request in requests:
                if request.expects_reply and not request.answered:
                    yield request

    def clear(self) -> None:
        """The kernel is gone: nothing will be answered any more."""
        self._by_id.clear()
        self._retired.clear()
        self._open = 0

    def _mark(self, request: Request, *, answered: bool = False, idled: bool = False) -> None:
        was_open = not request.answered and not request.idled
        request.answered |= answered
        request.idled |= idled
        if was_open:
            self._open -= 1
            self._retired[request] = None
        if request.answered and request.idled and not request.given_up:
            self._forget(request)
        elif len(self._retired) > MAX_RETIRED:
            self._forget(next(iter(self._retired)))

    def _forget(self, request: Request) -> None:
        self._retired.pop(request, None)
        msg_id = request.origin.header.msg_id
        siblings = self._by_id[msg_id]
        siblings.remove(request)
        if not siblings:
            del self._by_id[msg_id]
