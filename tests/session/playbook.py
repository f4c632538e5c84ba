"""Playbooks: conversations with a session, event by event, that read like one.

    play(session)
        .when(alice.sends(cell)).expect(to_kernel(cell, from_=alice))
        .when(kernel.publishes(status("busy", cell))).expect(to_all(...))

A pattern in ``expect`` stands for one command; order counts. Log commands are passed over unless
the expectation names one. What the session makes up has random-looking ids, so patterns compare
what matters: type, content, parent. ``expect()`` means: nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from proxy.message import Channel, ClientId, Message
from proxy.session.asker import KMUX
from proxy.session.commands import (
    Command,
    Log,
    StartTimer,
    ToAll,
    ToAllBut,
    ToClient,
    ToKernel,
    ToSubscriber,
)
from proxy.session.events import (
    ClientReturned,
    ClientSent,
    Event,
    KernelDied,
    KernelLaunched,
    KernelSent,
    Subscribed,
    TimerFired,
    TurnEnded,
    Undelivered,
)
from proxy.session.lifecycle import Policy
from proxy.session.session import Session
from tests.messages import as_json, message, reply, status

C = TypeVar("C", bound=Command)

SHELL, CONTROL, STDIN, IOPUB = Channel.SHELL, Channel.CONTROL, Channel.STDIN, Channel.IOPUB

EPOCH = 1_800_000_000.0
"""When playbooks begin."""


class Frontend:
    """Who sends, and what is said of it."""

    def __init__(self, name: str, identity: bytes | None = None) -> None:
        self.name = name
        self.id = ClientId((b"zmq", identity if identity is not None else name.encode()))

    def __repr__(self) -> str:
        return self.name

    def sends(self, message: Message, on: Channel | None = None) -> ClientSent:
        """The frontend sends on the channel on which such messages are sent."""
        channel = on or channel_of(message)
        return ClientSent(at=0, client=self.id, channel=channel, message=message)

    def returns(self, *, owner: bool = False) -> ClientReturned:
        return ClientReturned(at=0, client=self.id, owner=owner)

    def does_not_get(self, message: Message, on: Channel | None = None) -> Undelivered:
        """It was away when this was sent to it."""
        return Undelivered(at=0, client=self.id, channel=on or channel_of(message), message=message)


class Kernel:
    """The kernel, as it speaks to kmux."""

    @staticmethod
    def launches(interrupt_mode: str = "signal") -> KernelLaunched:
        return KernelLaunched(at=0, interrupt_mode=interrupt_mode)

    @staticmethod
    def publishes(message: Message) -> KernelSent:
        return KernelSent(at=0, channel=IOPUB, routing=(message.topic,), message=message)

    @staticmethod
    def answers(
        to: Frontend | None, message: Message, on: Channel | None = None, *, echoes: bool = True
    ) -> KernelSent:
        """A reply or a prompt; ``echoes`` is whether the routing prefix is given back.

        ``to`` None stands for kmux itself, which asks as well.
        """
        routing = (to.id if to else KMUX) if echoes else ()
        return KernelSent(
            at=0, channel=on or channel_of(message), routing=tuple(routing), message=message
        )

    @staticmethod
    def dies(reason: str = "the kernel was killed by SIGKILL") -> KernelDied:
        return KernelDied(at=0, reason=reason)


kernel = Kernel()


def fires(timer: str) -> TimerFired:
    return TimerFired(at=0, key=timer)


def subscribes(subscriber: object = "newcomer") -> Subscribed:
    return Subscribed(at=0, subscriber=subscriber)


def channel_of(message: Message) -> Channel:
    """The channel on which frontends and kernels send messages of this type."""
    kind = message.msg_type
    if kind in ("input_request", "input_reply"):
        return STDIN
    verb = kind.removesuffix("_request").removesuffix("_reply")
    return CONTROL if verb in ("interrupt", "shutdown", "debug") else SHELL


# What is expected


class Pattern:
    """One command, by what matters of it."""

    def __init__(self, text: str, matches: Callable[[Command], bool], about: type[Command]) -> None:
        self.text = text
        self.matches = matches
        self.about = about

    def __repr__(self) -> str:
        return self.text


def to_all(message: Message) -> Pattern:
    """This very message goes to everybody."""
    return Pattern(
        f"to all: {show(message)}", lambda c: isinstance(c, ToAll) and c.message is message, ToAll
    )


def to_kernel(message: Message, from_: Frontend, on: Channel | None = None) -> Pattern:
    """This very message goes to the kernel, with its sender's routing prefix."""
    channel = on or channel_of(message)
    return Pattern(
        f"to kernel: {show(message)} on {channel} from {from_}",
        lambda c: (
            isinstance(c, ToKernel)
            and c.message is message
            and c.routing == from_.id
            and c.channel is channel
        ),
        ToKernel,
    )


def to_client(client: Frontend, message: Message, on: Channel | None = None) -> Pattern:
    """This very message goes to one frontend."""
    channel = on or channel_of(message)
    return Pattern(
        f"to {client}: {show(message)} on {channel}",
        lambda c: (
            isinstance(c, ToClient)
            and c.message is message
            and c.client == client.id
            and c.channel is channel
        ),
        ToClient,
    )


def made_up(
    message: Message, msg_type: str, content: dict[str, Any], parent: Message | None
) -> bool:
    """Whether a message made up by the session is this one; content may hold more keys."""
    got = as_json(message.raw_content)
    return (
        message.msg_type == msg_type
        and {key: got.get(key) for key in content} == content
        and message.raw_parent == (parent.raw_header if parent else b"{}")
    )


def says_status(state: str, parent: Message | None = None) -> Pattern:
    """The session publishes a status of its own making; parent None means: without a parent."""
    return Pattern(
        f"to all: status {state} of {show(parent)}",
        lambda c: (
            isinstance(c, ToAll)
            and made_up(c.message, "status", {"execution_state": state}, parent)
        ),
        ToAll,
    )


def true_status(state: str) -> Pattern:
    """The session publishes a status of its own making, whosever it is."""
    return Pattern(
        f"to all: status {state}",
        lambda c: (
            isinstance(c, ToAll)
            and c.message.msg_type == "status"
            and as_json(c.message.raw_content) == {"execution_state": state}
        ),
        ToAll,
    )


def true_status_but(state: str, client: Frontend) -> Pattern:
    """The session publishes a status of its own making to all but a client."""
    return Pattern(
        f"to all but {client.name}: status {state}",
        lambda c: (
            isinstance(c, ToAllBut)
            and c.clients == {client.id}
            and as_json(c.message.raw_content) == {"execution_state": state}
        ),
        ToAllBut,
    )


def answers(
    client: Frontend,
    to: Message,
    msg_type: str | None = None,
    on: Channel | None = None,
    **content: Any,
) -> Pattern:
    """The session answers a request in the kernel's name."""
    msg_type = msg_type or to.msg_type.replace("_request", "_reply")
    channel = on or channel_of(to)
    return Pattern(
        f"to {client}: {msg_type} {content} to {show(to)} on {channel}",
        lambda c: (
            isinstance(c, ToClient)
            and c.client == client.id
            and c.channel is channel
            and made_up(c.message, msg_type, content, to)
        ),
        ToClient,
    )


def answered(client: Frontend, to: Message, on: Channel | None = None, **content: Any) -> list[Any]:
    """A whole answer in the kernel's name: busy, the reply, idle."""
    return [says_status("busy", to), answers(client, to, on=on, **content), says_status("idle", to)]


def asks_kernel(msg_type: str, on: Channel = SHELL, **content: Any) -> Pattern:
    """kmux asks the kernel something of its own."""
    return Pattern(
        f"to kernel: {msg_type} {content} on {on} from kmux",
        lambda c: (
            isinstance(c, ToKernel)
            and c.routing == KMUX
            and c.channel is on
            and made_up(c.message, msg_type, content, None)
        ),
        ToKernel,
    )


def to_subscriber(subscriber: object, msg_type: str, **content: Any) -> Pattern:
    """To one new subscriber alone."""
    return Pattern(
        f"to {subscriber}: {msg_type} {content}",
        lambda c: (
            isinstance(c, ToSubscriber)
            and c.subscriber == subscriber
            and c.message.msg_type == msg_type
            and content.items() <= as_json(c.message.raw_content).items()
        ),
        ToSubscriber,
    )


def starts_timer(key: str) -> Pattern:
    return Pattern(
        f"timer {key!r}", lambda c: isinstance(c, StartTimer) and c.key == key, StartTimer
    )


def logs(event: str) -> Pattern:
    return Pattern(f"log {event}", lambda c: isinstance(c, Log) and c.event == event, Log)


def show(message: Message | None) -> str:
    return f"{message.msg_type} {message.msg_id}" if message else "nobody"


def show_command(command: Command) -> str:
    if isinstance(command, ToAll):
        parent = command.message.parent
        content = bytes(command.message.raw_content).decode()[:80]
        return f"to all: {show(command.message)} {content} of {parent and parent.msg_id}"
    if isinstance(command, ToClient):
        content = bytes(command.message.raw_content).decode()[:80]
        where = f"to {command.client[-1]!r} on {command.channel}"
        return f"{where}: {show(command.message)} {content}"
    if isinstance(command, ToKernel):
        return f"to kernel: {show(command.message)} on {command.channel} from {command.routing}"
    return repr(command)


def show_event(event: Event) -> str:
    said = getattr(event, "message", None)
    who = getattr(event, "client", None)
    about = show(said) if said is not None else ""
    return " ".join(filter(None, [type(event).__name__, str(who[-1]) if who else "", about]))


class Playbook:
    """A session and what was said so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.now = EPOCH
        self.done: list[Command] = []
        self.said: list[str] = []

    def when(self, *events: Event) -> Playbook:
        """These things happen; ``expect`` then sees the commands of all of them."""
        self.done = []
        for event in events:
            self.said.append(f"* {show_event(event)}")
            commands = self.session.handle(msgspec.structs.replace(event, at=self.now))
            if self.session.is_behind:  # each event is a turn of its own
                commands += self.session.handle(TurnEnded(at=self.now))
            self.said += [f"    {show_command(command)}" for command in commands]
            self.done += commands
        return self

    def expect(self, *patterns: Pattern | Command | list[Any]) -> Playbook:
        """Exactly these commands come of it, in this order."""
        wanted: list[Pattern | Command] = []
        for pattern in patterns:
            wanted += pattern if isinstance(pattern, list) else [pattern]
        with_logs = any(isinstance(p, Pattern) and p.about is Log for p in wanted)
        commands = [c for c in self.done if with_logs or not isinstance(c, Log)]
        fits = len(commands) == len(wanted) and all(map(fit, commands, wanted))
        assert fits, self.tell(wanted, commands)
        self.done = []
        return self

    def after(self, seconds: float) -> Playbook:
        """Time passes."""
        self.now += seconds
        return self

    def of_kind(self, kind: type[C]) -> list[C]:
        """The commands of one kind that the last events led to."""
        return [command for command in self.done if isinstance(command, kind)]

    def tell(self, wanted: list[Any], commands: list[Command]) -> str:
        """The conversation, for who reads the failure."""
        lines = ["", "what was said:", *self.said, "expected last:"]
        lines += [f"    {pattern}" for pattern in wanted] or ["    nothing"]
        lines += ["but it was:", *[f"    {show_command(c)}" for c in commands]]
        return "\n".join(lines)


def fit(command: Command, pattern: Pattern | Command) -> bool:
    if isinstance(pattern, Pattern):
        return pattern.matches(command)
    return command == pattern


def play(session: Session) -> Playbook:
    """Begin a conversation."""
    return Playbook(session)


def kernel_info(implementation: str = "ipython") -> dict[str, Any]:
    """What a kernel says of itself."""
    return {
        "protocol_version": "5.3",
        "implementation": implementation,
        "language_info": {"name": "python"},
        "banner": "hello",
        "help_links": [],
    }


def question_of(play: Playbook, msg_type: str) -> Message:
    """What kmux last asked the kernel of its own accord."""
    asked = [command.message for command in play.of_kind(ToKernel) if command.routing == KMUX]
    (question,) = [message for message in asked if message.msg_type == msg_type]
    return question


def launch(
    play: Playbook, interrupt_mode: str = "signal", implementation: str = "ipython"
) -> Playbook:
    """A kernel is launched, answers kernel_info and is heard: its whole start."""
    play.when(kernel.launches(interrupt_mode))
    question = question_of(play, "kernel_info_request")
    return play.when(
        kernel.publishes(status("busy", question)),
        kernel.answers(None, reply(question, **kernel_info(implementation))),
        kernel.publishes(status("idle", question)),
    )


def with_a_kernel(
    *,
    policy: Policy | None = None,
    interrupt_mode: str = "signal",
    implementation: str = "ipython",
) -> Playbook:
    """A conversation that begins when the kernel is ready."""
    playbook = launch(play(Session("kmux-1", policy)), interrupt_mode, implementation)
    assert playbook.session.execution_state == "idle"
    return playbook


def asks_again(client: Frontend, prompt: Message) -> Pattern:
    """The same prompt goes to one frontend, to be signed anew."""
    again = msgspec.structs.replace(prompt, raw_metadata=prompt.raw_metadata + b" ")
    return Pattern(
        f"to {client} again: {show(prompt)}",
        lambda c: c == ToClient(client.id, Channel.STDIN, again),
        ToClient,
    )


def prompt_for(cell: Message, text: str = "? ") -> Message:
    """The kernel's input_request for a cell."""
    return message(
        "input_request", {"prompt": text, "password": False}, parent=cell, session="kernel"
    )


def answer_to(prompt: Message, value: str = "42") -> Message:
    """A frontend's input_reply."""
    return message("input_reply", {"value": value}, parent=prompt)
