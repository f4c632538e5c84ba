"""What a session has on its way, to be carried over from one kmux to the next.

Theory: a kernel outlives kmux, and what it was asked before is answered after. Its ROUTER knows
kmux by its routing identity, and the replies have their clients' frames in them; all else that
ties an answer to who waits for it is in tables here. So those are written down whenever they
change (:class:`Carried`), and a session that goes on with that kernel is handed them before
anything else (:class:`Resumed`):

* What the kernel was asked and has not answered is awaited again. Where it answers something that
  was asked *behind* it first, the answer came while nobody listened: its client is told so, or how
  its cell went, where iopub has told that.
* What waited in the queue waits again, each client's in its order.
* Clients are away until they are heard; prompts and kept replies wait for them.

Comms and what cells have shown so far are the record's.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.message import Channel, ClientId, Header, Message, MsgId
from proxy.session import clients
from proxy.session.answers import error
from proxy.session.asker import KMUX, Asker
from proxy.session.commands import Command, Log, StartTimer
from proxy.session.events import ClientSent, Event
from proxy.session.machines import Machines
from proxy.session.requests import Request
from proxy.session.status import KernelStatus

REMEMBERED_MESSAGES = 500
"""More than a kernel can have on its way to one who subscribed later."""
LOST = error(
    "ReplyLost", "the kernel answered while kmux was away; what it showed meanwhile is lost as well"
)

_header_decoder = msgspec.json.Decoder(Header)
_parent_decoder = msgspec.json.Decoder(Header | None)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One message of or for a client."""

    client: tuple[bytes, ...]
    channel: Channel
    header: bytes
    parent: bytes
    metadata: bytes
    content: bytes
    buffers: tuple[bytes, ...]
    topic: bytes = b""

    @property
    def message(self) -> Message:
        """The message, to be signed anew."""
        header = _header_decoder.decode(self.header)
        parent = _parent_decoder.decode(self.parent) if len(self.parent) > 2 else None
        return Message(
            header,
            parent,
            self.header,
            self.parent,
            self.metadata,
            self.content,
            self.buffers,
            self.topic,
        )

    def sent(self, at: float) -> ClientSent:
        """The message as one that its client sends now."""
        client = ClientId(self.client)
        return ClientSent(at=at, client=client, channel=self.channel, message=self.message)


class LentSubshell(msgspec.Struct, frozen=True, array_like=True):
    """A subshell of the kernel."""

    subshell_id: str
    users: list[tuple[bytes, ...]]
    comms: list[str]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What clients of an endpoint have missed that keeps it for them, by its tag."""

    tag: bytes
    entries: list[Entry]
    """Each for one client, or (none) for all of them."""
    places: list[tuple[tuple[bytes, ...], int]]
    """Clients, and how many of the entries each has got."""


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. A file has it as MessagePack."""

    at: float
    kernel_session: str = ""
    """Of the kernel that all of this is about: its ``header.session``."""
    kernel_info: Entry | None = None
    asked: list[Entry] = []
    """The kernel has these, and owes a reply. Only of cells there is more than the header."""
    interrupted: list[MsgId] = []
    waiting: list[Entry] = []
    prompts: list[Entry] = []
    mailbox: list[Entry] = []
    clients: list[tuple[tuple[bytes, ...], float]] = []
    """Who may come back, and since when each is away."""
    subshells: list[LentSubshell] = []
    last_published: list[MsgId] = []
    """The msg_ids of the last messages on iopub that were handled, for who takes over at once."""
    listeners: dict[str, int] = {}
    """How many subscribers each endpoint had, by its tag."""
    rows: list[Row] = []
    """After a crash these have clients, and no entries."""


class Resumed(Event, frozen=True):
    """What was on its way when kmux ended; the kernel that had it will be found, or is dead."""

    carried: Carried


def entry(client: ClientId, channel: Channel, message: Message) -> Entry:
    """Write a message down."""
    return Entry(
        client,
        channel,
        message.raw_header,
        message.raw_parent,
        bytes(message.raw_metadata),
        bytes(message.raw_content),
        tuple(bytes(part) for part in message.buffers),
        message.topic,
    )


class _End:
    """How a cell went, by what it published."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.error: dict[str, Any] | None = None
        self.idled = False

    def reply(self) -> dict[str, Any]:
        """Return the content of the reply that a kernel makes of it, without its payload."""
        if self.error is not None:
            return {**error("", ""), **self.error, "execution_count": self.count}
        reply: dict[str, Any] = {"status": "ok", "execution_count": self.count}
        return {**reply, "user_expressions": {}, "payload": []}


class _Begun(msgspec.Struct, frozen=True):
    execution_count: int | None = None


_begun_decoder = msgspec.json.Decoder(_Begun)
_error_decoder = msgspec.json.Decoder(dict[str, Any])


class Carrying:
    """Takes the tables of one session down, and fills them again."""

    def __init__(self, machines: Machines, asker: Asker) -> None:
        self._m = machines
        self._asker = asker
        self._kernel_session: str | None = None
        """Of the kernel that is gone on with, until it has said who it is."""
        self._awaited: list[Request] = []
        """What the kernel was asked before, and has not answered."""
        self._ends: dict[MsgId, _End] = {}
        """How the cells among that went, as far as iopub tells."""
        self.last_published: deque[MsgId] = deque(maxlen=REMEMBERED_MESSAGES)
        """The msg_ids of the last messages on iopub."""

    @property
    def goes_on(self) -> bool:
        """Whether what is known now is of the kernel that will be found."""
        return self._kernel_session is not None

    def carried(self, at: float) -> Carried:
        """Return all that is on its way."""
        m = self._m
        cells = {e.event.message.msg_id: e for e in m.queue.executions.with_the_kernel()}
        asked = []
        for request in m.requests.waiting():
            if request.client == KMUX:
                continue
            cell = cells.get(request.origin.header.msg_id)
            if cell is not None and cell.event.client == request.client:
                asked.append(entry(request.client, request.channel, cell.event.message))
            else:
                asked.append(_bare(request))
        held = (*m.startup.held, *m.priming.held)
        return Carried(
            at=at,
            kernel_session=m.voice.kernel_session,
            kernel_info=_optional(m.kernel_info.reply),
            asked=asked,
            interrupted=[msg_id for msg_id, cell in cells.items() if cell.was_interrupted],
            waiting=[_entry_of(event) for event in (*m.queue.executions.all_waiting(), *held)],
            prompts=[entry(client, Channel.STDIN, p) for client, p in m.prompts.open()],
            mailbox=[entry(*kept) for kept in m.mailbox.all_kept()],
            clients=[(tuple(client), since) for client, since in m.clients.may_come_back(at)],
            subshells=[
                LentSubshell(subshell_id, [tuple(user) for user in users], list(comms))
                for subshell_id, users, comms in m.subshells.subshells.lent()
            ],
        )

    def resume(self, carried: Carried, at: float) -> list[Command]:
        """Go on with a kernel from before. It has not been heard yet."""
        m = self._m
        self._kernel_session = carried.kernel_session
        if carried.kernel_info is not None:
            m.voice.learn(carried.kernel_info.message)
            m.kernel_info.learn(carried.kernel_info.message)
        for each in carried.asked:
            event = each.sent(at)
            self._awaited.append(m.requests.add(event.client, event.channel, event.message))
            if event.message.msg_type == "execute_request" and event.channel is Channel.SHELL:
                interrupted = event.message.msg_id in carried.interrupted
                m.queue.executions.resume(event, was_interrupted=interrupted)
        for each in carried.waiting:
            m.startup.hold(each.sent(at))
        commands: list[Command] = []
        for client, since in carried.clients:
            m.clients.resumed(ClientId(client), since)
            m.comms.holders.attached(ClientId(client), since)
            m.comms.holders.away(ClientId(client))
        if (seconds := m.clients.next_overdue(at)) is not None:
            commands.append(StartTimer(clients.TIMER, seconds))
        for each in carried.prompts:
            m.prompts.ask(ClientId(each.client), each.message)  # it is asked when it is back
        for each in carried.mailbox:
            commands += m.mailbox.keep(ClientId(each.client), each.channel, each.message)
        for lent in carried.subshells:
            users = [ClientId(user) for user in lent.users]
            m.subshells.subshells.resumed(lent.subshell_id, users, lent.comms)
        values = {"asked": len(carried.asked), "waiting": len(carried.waiting)}
        return [*commands, Log("session.resumed", values)]

    def found(self, at: float) -> list[Command]:
        """The kernel is connected: ask it behind what it has on subshells.

        On shell and control it is asked anyway.
        """
        subshells = {request.origin.header.subshell_id for request in self._awaited}
        return [
            self._asker.ask(Channel.SHELL, "kernel_info_request", {}, at, subshell_id=subshell_id)
            for subshell_id in sorted(filter(None, subshells))
        ]

    def is_another(self, kernel_session: str) -> bool:
        """The kernel said who it is. Whether it is not the one that was expected."""
        expected, self._kernel_session = self._kernel_session, None
        return expected not in (None, kernel_session)

    def answered(self, channel: Channel, subshell_id: str | None, at: float) -> list[Command]:
        """The kernel answered what it was asked behind all that it had from before, in one place.

        What has no reply by now gets none any more.
        """
        here = [r for r in self._awaited if _place(r) == (channel, subshell_id)]
        self._awaited = [r for r in self._awaited if _place(r) != (channel, subshell_id)]
        commands: list[Command] = []
        for request in here:
            if not request.answered:
                end = self._ends.pop(request.origin.header.msg_id, None)
                content = LOST if end is None or not end.idled else end.reply()
                commands += self._m.queue.lost(request, content, at)
        return commands

    @property
    def awaits(self) -> bool:
        """Whether it matters what the kernel publishes about what it was asked before."""
        return bool(self._awaited)

    def published(self, message: Message) -> None:
        """The kernel published something: perhaps how a cell went whose reply will not come."""
        parent, msg_type = message.parent, message.header.msg_type
        if parent is None or parent.msg_type != "execute_request":
            return
        end = self._ends.setdefault(parent.msg_id, _End())
        if msg_type == "execute_input":
            begun = message.content_as(_begun_decoder)
            end.count = begun.execution_count if begun is not None else None
        elif msg_type == "error":
            end.error = message.content_as(_error_decoder)
        elif msg_type == "status":
            end.idled |= KernelStatus.idle_of(message) is not None

    def abandon(self) -> None:
        """The kernel is gone: all is answered otherwise."""
        self._awaited.clear()
        self._ends.clear()
        self._kernel_session = None


def _place(request: Request) -> tuple[Channel, str | None]:
    on_shell = request.channel is Channel.SHELL
    return request.channel, request.origin.header.subshell_id if on_shell else None


def _bare(request: Request) -> Entry:
    """Write a request down of which only the header counts."""
    raw = request.origin.raw_header
    return Entry(tuple(request.client), request.channel, raw, b"{}", b"{}", b"{}", ())


def _entry_of(event: ClientSent) -> Entry:
    return entry(event.client, event.channel, event.message)


def _optional(reply: Message | None) -> Entry | None:
    return None if reply is None else entry(KMUX, Channel.SHELL, reply)


def decode(raw: bytes) -> Carried:
    """Read what was written down. Raises ``msgspec.MsgspecError`` where it is damaged."""
    carried = msgspec.msgpack.decode(raw, type=Carried)
    entries: Iterable[Entry] = (
        *carried.asked,
        *carried.waiting,
        *carried.prompts,
        *carried.mailbox,
        *filter(None, [carried.kernel_info]),
    )
    for each in entries:
        each.message  # noqa: B018 (its headers are decoded here, not later)
    return carried


encode = msgspec.msgpack.encode
"""Make bytes of it."""
