"""Clients that come and go: what each finds, and what becomes of what it had.

The machine is in ``clients.py``; here it becomes commands.
"""

from __future__ import annotations

from functools import partial

import msgspec

from proxy.message import ClientId, comes_back
from proxy.session import events as ev
from proxy.session.clients import TIMER
from proxy.session.commands import Command, Log, StartTimer, ToSubscriber
from proxy.session.life import KernelLife
from proxy.session.machines import Machines


class _Shutdown(msgspec.Struct, frozen=True):
    restart: bool = False


_shutdown_decoder = msgspec.json.Decoder(_Shutdown)


class Presence:
    """Clients at the door."""

    def __init__(self, machines: Machines, life: KernelLife) -> None:
        self._m = machines
        self._life = life

    def returned(self, event: ev.ClientReturned) -> list[Command]:
        m, client = self._m, event.client
        if event.owner:
            self._life.owners.add(client)
        m.clients.returned(client, event.at)
        if comes_back(client):
            m.comms.holders.attached(client, event.at)
        again = m.prompts.ask_again(client, partial(m.mailbox.holds, client))
        return [*m.mailbox.deliver(client), *again, *m.prompts.ask_newcomer(client)]

    def subscribed(self, event: ev.Subscribed) -> list[Command]:
        # JEP 65; jupyter_server throws its first iopub message away, so the status comes second.
        m = self._m
        messages = [m.voice.message("iopub_welcome", {"subscription": ""}, event.at)]
        messages.append(m.answers.true_status(event.at))
        commands: list[Command] = []
        if event.replay:
            commands = m.comms.catch_up()
            messages += m.comms.opened_so_far()
            messages += m.running.so_far()
        return [*commands, *[ToSubscriber(event.subscriber, message) for message in messages]]

    def left(self, event: ev.ClientLeft) -> list[Command]:
        m, client = self._m, event.client
        self._life.owners.discard(client)
        was_waiting = m.clients.next_overdue(event.at) is not None
        gone = m.clients.left(client, event.at)
        commands = [c for one in gone for c in self._gone(one, event.at)]
        if m.clients.is_away(client):
            commands += self._ask_others(client)
            if not was_waiting:
                commands += self._watch(event.at)
        return commands

    def timer_fired(self, at: float) -> list[Command]:
        """Somebody may have been away for too long."""
        gone = self._m.clients.overdue(at)
        commands = [c for client in gone for c in self._gone(client, at)]
        return [*commands, *self._watch(at)]

    def _watch(self, at: float) -> list[Command]:
        seconds = self._m.clients.next_overdue(at)
        return [] if seconds is None else [StartTimer(TIMER, seconds)]

    def asked(self, client: ClientId) -> list[Command]:
        """The kernel has asked this client for input: perhaps it is not there."""
        return self._ask_others(client) if self._m.clients.is_away(client) else []

    def _ask_others(self, client: ClientId) -> list[Command]:
        """A client is away: by policy the others may answer its prompts."""
        m = self._m
        if m.policy.prompts != "anyone":
            return []
        others = list(m.clients.attached)
        return [c for cell in m.prompts.of(client) for c in m.prompts.ask_all(cell, others)]

    def _gone(self, client: ClientId, at: float) -> list[Command]:
        """A client will not come back: let go of what it had."""
        m = self._m
        commands = m.queue.drop(client)
        commands += m.comms.left(client, at)
        commands += m.subshells.left(client, at)
        commands += m.mailbox.forget(client)
        asking = m.prompts.of(client)
        if m.policy.prompts == "anyone":
            commands += self._ask_others(client)
        elif (running := m.queue.executions.running()) and running.msg_id in asking:
            commands.append(Log("stdin.asker_gone", {"client": client}))
            commands += m.interrupts.nobody_sent(at)
        return commands

    def shutdown(self, event: ev.ClientSent) -> list[Command]:
        """A client wants the kernel shut down: for it alone, but where it owns the session."""
        m, client = self._m, event.client
        shutdown = event.message.content_as(_shutdown_decoder) or _Shutdown()
        reply = {"status": "ok", "restart": shutdown.restart}
        commands = m.interrupts.withdraw(client)
        if client in self._life.owners:
            return commands + self._life.end(event, restart=shutdown.restart, reply=reply)
        if not shutdown.restart:
            commands += m.answers.reply_to(event, reply)
            m.clients.leaving(client)
            commands += self._gone(client, event.at)
            return [*commands, Log("client.detached", {"client": client})]
        if m.policy.restart != "allow":
            who = "its owner" if m.policy.restart == "owner" else "nobody"
            why = f"{who} may restart this shared kernel"
            return commands + m.answers.refuse(event, "RestartRefused", why)
        commands += m.answers.reply_to(event, reply)
        log = Log("kernel.restart_requested", {"client": client})
        return [*commands, *self._life.restart(event.at), log]
