"""The kernel's life in a session: it comes up, is proven, dies, is restarted, is shut down.

The table is in ``lifecycle.py``, the holding of requests in ``startup.py``; here they become
commands.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.message import Channel, ClientId, Message
from proxy.session import events as ev
from proxy.session.asker import KMUX
from proxy.session.carrying import Carrying
from proxy.session.commands import (
    Command,
    EndSession,
    Log,
    RestartKernel,
    StartTimer,
    ToAll,
)
from proxy.session.facts import KernelBegan, KernelEnded, KernelTold
from proxy.session.lifecycle import State
from proxy.session.machines import Machines
from proxy.session.preparing import STAND_IN_SECONDS, STAND_IN_TIMER
from proxy.session.queue import TOO_MANY
from proxy.session.startup import PROVE_SECONDS, PROVE_TIMER


class _Reply(msgspec.Struct, frozen=True):
    status: str = ""
    evalue: str = ""


_reply_decoder = msgspec.json.Decoder(_Reply)


class KernelLife:
    """What a kernel's coming and going means for those who wait for it."""

    def __init__(
        self,
        machines: Machines,
        carrying: Carrying,
        take: Callable[[ev.ClientSent], list[Command]],
    ) -> None:
        self._m = machines
        self._carrying = carrying
        self._take = take
        """Takes a request that was held, as if it came now."""
        self._found = False
        """Whether the kernel ran before kmux knew it."""
        self.owners: set[ClientId] = set()
        """The clients of the process that runs kmux as its kernel."""

    def kmux_heard(self, message: Message, at: float) -> list[Command] | None:
        """The kernel published something for one of kmux's own requests.

        None: frontends are to have it. While a kernel of ours starts that is all of it (its first
        idle tells them that it is there), later what is not about the question itself.
        """
        m = self._m
        if not self._found and not m.is_ready:
            return None
        if message.parent is not None and m.status.is_busy_with(message.parent.msg_id):
            return None  # they have heard its busy
        if message.header.msg_type == "status":
            idle = m.status.idle_of(message)
            if idle is None:
                return self._heard_first(message, at)
            m.requests.idled(idle)
            more = [*m.comms.idled(idle, at), *m.priming.idled(idle, at), *m.queue.probed(idle, at)]
            return [*self._heard_first(message, at), *more]
        if m.comms.widgets.is_for_kmux(message):
            if message.msg_type == "comm_msg":
                m.comms.kernel_sent(message, at)
            return []
        if m.priming.is_for_kmux(message):
            return [*m.priming.heard(message, at), *self.primed()]
        return None

    def _heard_first(self, message: Message, at: float) -> list[Command]:
        return [] if self._m.startup.heard else self.heard(message, at)

    # It comes up

    def preparing(self, event: ev.KernelPreparing) -> list[Command]:
        """Its environment is being made: who waits is told."""
        m = self._m
        if not m.lifecycle.holds:
            return []
        commands: list[Command] = []
        if m.preparing.begin(event.language):
            commands.append(StartTimer(STAND_IN_TIMER, STAND_IN_SECONDS))
            for held in m.startup.held:
                m.preparing.show(held, m.voice, event.at)
        told = m.preparing.tell(event.line, m.voice, event.at)
        return [*commands, *[ToAll(message) for message in told]]

    def stand_in_due(self, at: float) -> list[Command]:
        """Frontends have waited for long: answer what they ask first."""
        m = self._m
        if not m.preparing.active:
            return []
        m.preparing.overdue = True
        asked = m.startup.release_type("kernel_info_request")
        return [command for event in asked for command in self._take(event)]

    def launched(self, event: ev.KernelLaunched) -> list[Command]:
        m = self._m
        again = m.lifecycle.state is State.STARTING  # the last one found its ports taken
        if not m.lifecycle.happen("launched") and not again:
            return []
        began = KernelBegan(at=event.at, found=event.found, env_source=event.env_source)
        m.diary.note(began)
        m.interrupts.interrupts.mode = event.interrupt_mode
        m.startup.begin(found=event.found, start_code=event.start_code)
        self._found = event.found
        if not (event.found and self._carrying.goes_on):
            self._forget_kernel()
        commands = [m.answers.publish("starting", event.at), *self._ask_kernel_info(event.at)]
        if event.found:
            commands.append(m.asker.ask(Channel.CONTROL, "kernel_info_request", {}, event.at))
            commands += self._carrying.found(event.at)
        return commands

    def _ask_kernel_info(self, at: float) -> list[Command]:
        ask = self._m.asker.ask(Channel.SHELL, "kernel_info_request", {}, at)
        return [ask, StartTimer(PROVE_TIMER, PROVE_SECONDS)]

    def heard(self, message: Message, at: float) -> list[Command]:
        """The kernel's first iopub message came."""
        self._m.startup.heard = True
        self._m.voice.learn(message)
        return self._prove(at)

    def answered_kmux(self, channel: Channel, message: Message, at: float) -> list[Command]:
        """The kernel answered what kmux asked."""
        m = self._m
        if m.startup.runs_code and message.header.msg_type == "execute_reply":
            return self._code_ran(message, at)
        if message.header.msg_type != "kernel_info_reply":
            return [*m.priming.kernel_answered(message, at), *self.primed()]
        subshell_id = message.parent.subshell_id if message.parent is not None else None
        commands = self._recognised(message, at)
        commands += self._carrying.answered(channel, subshell_id, at)
        if channel is Channel.SHELL and subshell_id is None and m.startup.shell_waits:
            m.startup.shell_waits = False
            if m.is_ready:
                commands.append(ToAll(m.answers.true_status(at)))
        if m.startup.answered:
            return commands
        m.voice.learn(message)
        m.kernel_info.learn(message)
        content = bytes(message.raw_content)
        m.diary.note(KernelTold(at=at, session=m.voice.kernel_session, content=content))
        m.startup.answered = True
        remembered = m.priming.remember(m.voice.kernel_session, at)
        return [*commands, *remembered, *self._prove(at)]

    def _recognised(self, message: Message, at: float) -> list[Command]:
        """The kernel that was found says who it is: perhaps another one, on the same ports."""
        session = message.header.session or self._m.voice.kernel_session
        if not self._carrying.is_another(session):
            return []
        return self._abandon("KernelRestarted", "another kernel has taken its place", at)

    def _prove(self, at: float) -> list[Command]:
        """Let the frontends' requests through once the kernel has answered and was heard."""
        m = self._m
        if not m.startup.proven or m.startup.runs_code:
            return []
        if m.startup.start_code:
            return [self._run_code(at)]
        if not m.lifecycle.happen("proven"):
            return []
        commands: list[Command] = [Log("kernel.ready", {"heard_iopub": m.startup.heard})]
        if self._found:
            commands.append(ToAll(m.answers.true_status(at)))
            commands += m.priming.begin(at, busy=m.startup.shell_waits)
        commands += self._prepared(at)
        for event in m.startup.release():
            commands += self._take(event)
        return commands

    def _run_code(self, at: float) -> Command:
        startup = self._m.startup
        startup.runs_code = True
        content = {
            "code": startup.start_code,
            "silent": True,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        return self._m.asker.ask(Channel.SHELL, "execute_request", content, at)

    def _code_ran(self, message: Message, at: float) -> list[Command]:
        """What the kernel was to run first has ended: where it failed, nobody is to use it."""
        m = self._m
        reply = message.content_as(_reply_decoder)
        if reply is None or reply.status != "ok":
            why = reply.evalue if reply is not None else ""
            shutdown = m.asker.ask(Channel.CONTROL, "shutdown_request", {"restart": False}, at)
            return [Log("kernel.start_code_failed", {"why": why}, "error"), shutdown]
        m.startup.start_code = ""
        m.startup.runs_code = False
        return self._prove(at)

    def _prepared(self, at: float) -> list[Command]:
        return [ToAll(message) for message in self._m.preparing.end(self._m.voice, at)]

    def primed(self) -> list[Command]:
        """Let through what waited for the ledger, if that is filled."""
        return [c for event in self._m.priming.release() for c in self._take(event)]

    def overdue(self, at: float) -> list[Command]:
        """The timer ran out: ask again, or take it for a kernel that publishes nothing."""
        if self._m.lifecycle.state is not State.STARTING:
            return []
        if self._m.startup.runs_code:
            return []
        if self._m.startup.ask_again():
            return self._prove(at) or self._ask_kernel_info(at)
        return [StartTimer(PROVE_TIMER, PROVE_SECONDS)]

    def hold(self, event: ev.ClientSent) -> list[Command]:
        """Keep a request for a kernel that is coming up; refuse it where none is."""
        m = self._m
        if not m.lifecycle.holds:
            return m.answers.refuse(event, "KernelDied", self._cause)
        if not m.startup.hold(event):
            return m.answers.refuse(event, *TOO_MANY)
        return [ToAll(message) for message in m.preparing.show(event, m.voice, event.at)]

    # It ends

    def died(self, event: ev.KernelDied) -> list[Command]:
        m = self._m
        m.comms.catch_up()  # for the record: what is to be done of it is not for this kernel
        m.diary.note(KernelEnded(at=event.at, reason=event.reason))
        ending = m.lifecycle.state is State.ENDING
        log = Log("kernel.died", {"reason": event.reason}, "info" if ending else "warning")
        again = m.lifecycle.die(event.reason, event.at, for_good=event.for_good)
        commands = self._abandon("KernelDied", event.reason, event.at, ends=True)
        if again:
            return [*commands, m.answers.publish("restarting", event.at), log, RestartKernel()]
        if ending:
            return [*commands, *self._refuse_held(event.at), log]
        if m.policy.on_death == "end":
            # The frontend that runs kmux as its kernel decides. JupyterLab takes "dead" as final
            # and would not come back after its server has restarted the kernel.
            m.lifecycle.happen("end")
            state = m.answers.publish("restarting", event.at)
            return [*commands, *self._refuse_held(event.at), state, log, EndSession(False)]
        return [*commands, *self._refuse_held(event.at), m.answers.publish("dead", event.at), log]

    def restart(self, at: float, but: frozenset[ClientId] = frozenset()) -> list[Command]:
        """Restart the kernel for everybody.

        ``but`` are clients of who wants it: they are not told of it, since JupyterLab would say
        that the kernel has died.
        """
        m = self._m
        if not m.lifecycle.happen("restart"):
            return []
        m.comms.catch_up()
        m.diary.note(KernelEnded(at=at, reason="it was restarted"))
        commands = self._abandon("KernelRestarted", "the kernel was restarted", at)
        ask = m.asker.ask(Channel.CONTROL, "shutdown_request", {"restart": True}, at)
        return [*commands, m.answers.publish("restarting", at, but), ask, RestartKernel()]

    def end(
        self, event: ev.ClientSent, *, restart: bool, reply: dict[str, object]
    ) -> list[Command]:
        """The owner shuts the kernel down, and kmux with it: it decides what comes next."""
        m = self._m
        # Never refused, however much waits: the kernel's answer where there is one.
        ours = m.is_ready and m.policy.owns_kernel
        answer = m.queue.submit(event) if ours else m.answers.reply_to(event, reply)
        m.lifecycle.happen("end")
        return [*answer, *self._refuse_held(event.at), EndSession(restart)]

    def shutting_down(self, event: ev.ShuttingDown) -> list[Command]:
        m = self._m
        m.lifecycle.happen("end")
        m.comms.catch_up()
        commands = self._abandon("KernelEnded", "the kernel was shut down", event.at, ends=True)
        commands += self._refuse_held(event.at)
        if not m.policy.owns_kernel:
            return commands
        content = {"restart": event.restart}
        return [*commands, m.asker.ask(Channel.CONTROL, "shutdown_request", content, event.at)]

    @property
    def _cause(self) -> str:
        return self._m.lifecycle.cause or "the kernel was shut down"

    def _refuse_held(self, at: float) -> list[Command]:
        """No kernel will come up any more for what waits for one."""
        commands = self._prepared(at)
        for event in self._m.startup.release():
            commands += self._m.answers.refuse(event, "KernelDied", self._cause)
        return commands

    def _abandon(self, ename: str, evalue: str, at: float, ends: bool = False) -> list[Command]:
        """The kernel is gone, or about to be: answer what it leaves unanswered.

        ``ends`` is whether kmux may end with it.
        """
        m = self._m
        passed_over = {KMUX}
        if ends and m.policy.on_death == "end":
            # Who started kmux as its kernel sees it end, and draws its own conclusions, as with
            # any kernel: nbclient tells a dead kernel from a cell that failed.
            passed_over |= self.owners
        waiting = [r for r in m.requests.waiting() if r.client not in passed_over]
        commands = m.answers.abandon(waiting, ename, evalue, at)
        commands += m.queue.abandon(ename, evalue, at, passed_over)
        commands += m.interrupts.abandon()
        for event in (*m.subshells.abandon(), *m.priming.abandon()):
            commands += m.answers.refused(event, ename, evalue)
        self._forget_kernel()
        return commands

    def _forget_kernel(self) -> None:
        m = self._m
        self._carrying.abandon()
        m.voice.forget_topics()
        m.requests.clear()
        m.status.reset()
        m.interrupts.interrupts.clear()
        m.subshells.abandon()
        m.priming.abandon()
        m.comms.clear()
        m.running.clear()
        for prompt in m.prompts.close_all():
            m.mailbox.withdraw(prompt.msg_id)
