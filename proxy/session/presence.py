"""Clients that come and go: what each finds, and what becomes of what it had.

The machine is in ``clients.py``; here it becomes commands.
"""

from __future__ import annotations

from functools import partial

import msgspec

from proxy.message import ClientId, comes_back
from proxy.session import events as ev
from proxy.session.clients import TIMER
from proxy.session.commands import Command, Goodbye, Log, StartTimer, ToSubscriber
from proxy.session.life import KernelLife
from proxy.session.machines import Machines

MAX_BLANKS = 256


class _Shutdown(msgspec.Struct, frozen=True):
    restart: bool = False


_shutdown_decoder = msgspec.json.Decoder(_Shutdown)


class Presence:
    """Clients at the door."""

    def __init__(self, machines: Machines, life: KernelLife) -> None:
        self._m = machines
        self._life = life
        self._replays = 0

    def returned(self, event: ev.ClientReturned) -> list[Command]:
        m, client = self._m, event.client
        if event.owner:
            self._life.owners.add(client)
        m.clients.returned(client, event.at)
        if comes_back(client):
            m.comms.holders.attached(client, event.at)
        if event.missed_nothing:
            return m.mailbox.deliver(client)
        again = m.prompts.ask_again(client, partial(m.mailbox.holds, client))
        return [*m.mailbox.deliver(client), *again]

    def subscribed(self, event: ev.Subscribed) -> list[Command]:
        # JEP 65; jupyter_server throws its first iopub message away, so the status comes second.
        m = self._m
        messages = [m.voice.message("iopub_welcome", {"subscription": ""}, event.at)]
        messages.append(m.answers.true_status(event.at))
        commands: list[Command] = []
        if event.replay:
            commands = m.comms.catch_up()
            # jupyter_client refuses a signature that it has seen; one that comes back may have.
            blanks = b" " * (self._replays % MAX_BLANKS)
            self._replays += 1
            messages += [
                msgspec.structs.replace(
                    missed, raw_metadata=bytes(missed.raw_metadata) + blanks, signed_by=None
                )
                for missed in (*m.comms.opened_so_far(), *m.running.so_far())
            ]
        return [*commands, *[ToSubscriber(event.subscriber, message) for message in messages]]

    def left(self, event: ev.ClientLeft) -> list[Command]:
        m, client = self._m, event.client
        self._life.owners.discard(client)
        was_waiting = m.clients.next_overdue(event.at) is not None
        gone = m.clients.left(client, event.at)
        commands = [c for one in gone for c in self._gone(one, event.at)]
        if m.clients.is_away(client):
            m.comms.holders.away(client)
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

    def asked(self, client: ClientId, at: float) -> list[Command]:
        """The kernel has asked this client for input: perhaps it is not there."""
        if self._m.clients.is_gone(client):
            return self._prompts_of_gone(client, at)
        return self._ask_others(client) if self._m.clients.is_away(client) else []

    def _ask_others(self, client: ClientId) -> list[Command]:
        """A client is away: by policy the others may answer its prompts."""
        m = self._m
        if m.policy.prompts != "anyone":
            return []
        others = [one for one in m.clients.attached if comes_back(one)]
        return [c for cell in m.prompts.of(client) for c in m.prompts.ask_all(cell, others)]

    def _prompts_of_gone(self, client: ClientId, at: float) -> list[Command]:
        """Nobody will answer these; everybody else waits for the cell that asks."""
        m = self._m
        running = m.queue.executions.running()
        if m.policy.prompts == "anyone":
            return self._ask_others(client)
        if running is None or running.msg_id not in m.prompts.of(client):
            return []
        return [Log("stdin.asker_gone", {"client": client}), *m.interrupts.nobody_sent(at)]

    def _gone(self, client: ClientId, at: float) -> list[Command]:
        """A client will not come back: let go of what it had."""
        m = self._m
        commands = m.queue.drop(client, at)
        for event in (*m.startup.drop(client), *m.priming.drop(client)):
            if event.message.msg_type == "execute_request":
                commands += m.answers.abort([event])
            else:
                commands += m.answers.refuse(event, "ClientLeft", "who asked has left")
        commands += m.comms.left(client, at)
        commands += m.subshells.left(client, at)
        commands += m.mailbox.forget(client)
        m.prompts.forget(client)
        return commands + self._prompts_of_gone(client, at)

    def shutdown(self, event: ev.ClientSent) -> list[Command]:
        """A client wants the kernel shut down: for it alone, but where it owns the session."""
        m, client = self._m, event.client
        shutdown = event.message.content_as(_shutdown_decoder) or _Shutdown()
        reply = {"status": "ok", "restart": shutdown.restart}
        commands = m.interrupts.withdraw(client)
        owns = client in self._life.owners
        if owns and m.policy.owner_ends:
            return commands + self._life.end(event, restart=shutdown.restart, reply=reply)
        if shutdown.restart and not self._may_restart(owns=owns):
            who = "its owner" if m.policy.restart == "owner" else "nobody"
            why = f"{who} may restart this shared kernel"
            return commands + m.answers.refuse(event, "RestartRefused", why)
        commands += m.answers.reply_to(event, reply)
        if shutdown.restart:
            commands += self._life.restart(event.at, frozenset([client] if owns else []))
            commands.append(Log("kernel.restart_requested", {"client": client}))
        else:
            commands += self._let_go(client, event.at)
        return [*commands, Goodbye(client, shutdown.restart)] if owns else commands

    def _may_restart(self, *, owns: bool) -> bool:
        policy = self._m.policy.restart
        return policy == "allow" or (policy == "owner" and owns)

    def _let_go(self, client: ClientId, at: float) -> list[Command]:
        """A client says that it leaves."""
        m = self._m
        m.clients.leaving(client)
        commands = self._gone(client, at)
        if client in m.clients.attached:  # it may change its mind
            m.comms.holders.attached(client, at)
        return [*commands, Log("client.detached", {"client": client})]
