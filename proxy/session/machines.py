"""The machines of one session, made and tied together. What they decide is theirs."""

from __future__ import annotations

from proxy.session.answers import Answers
from proxy.session.asker import Asker
from proxy.session.clients import Clients
from proxy.session.comm_desk import CommDesk
from proxy.session.composer import Composer
from proxy.session.diary import Diary
from proxy.session.interrupt_desk import InterruptDesk
from proxy.session.kernel_info import KernelInfo
from proxy.session.lifecycle import Lifecycle, Policy, State
from proxy.session.mailbox import Mailbox
from proxy.session.ports import Ports
from proxy.session.preparing import Preparing
from proxy.session.priming import Priming
from proxy.session.queue import Queue
from proxy.session.requests import Requests
from proxy.session.running import Running
from proxy.session.startup import Startup
from proxy.session.status import KernelStatus
from proxy.session.stdin import Prompts
from proxy.session.subshell_desk import SubshellDesk


class Machines:
    """All that is known of one shared kernel and its clients."""

    def __init__(self, ident: str, policy: Policy, diary: Diary) -> None:
        self.policy = policy
        self.diary = diary
        self.lifecycle = Lifecycle(policy)
        self.startup = Startup()
        self.preparing = Preparing()
        self.status = KernelStatus()
        self.kernel_info = KernelInfo()
        self.requests = Requests()
        self.clients = Clients(policy.away_seconds)
        self.prompts = Prompts()
        self.mailbox = Mailbox()
        self.running = Running()
        self.ports = Ports()
        self.voice = Composer(ident)
        self.asker = Asker(ident, self.requests)
        self.answers = Answers(self.voice, self.status, lambda: self.execution_state)
        self.queue = Queue(self.requests, self.answers, self.asker, self.status, diary)
        self.interrupts = InterruptDesk(
            self.queue.executions, self.requests, self.kernel_info, self.answers, self.asker
        )
        self.subshells = SubshellDesk(
            self.kernel_info, self.status, self.queue.executions, self.answers, self.asker
        )
        self.comms = CommDesk(self.clients, self.subshells, self.answers, self.asker, diary)
        self.priming = Priming(self.comms, self.kernel_info, self.voice, self.asker)

    @property
    def is_ready(self) -> bool:
        """Whether the kernel takes requests."""
        return self.lifecycle.state is State.READY

    @property
    def runs_a_cell(self) -> bool:
        """Whether a question would wait in the kernel for as long as it likes."""
        busy_with = self.status.busy_with
        is_cell = busy_with is not None and busy_with.header.msg_type == "execute_request"
        return is_cell or self.startup.shell_waits

    @property
    def execution_state(self) -> str:
        """The true status: starting, idle, busy, restarting or dead."""
        state = self.lifecycle.state
        if state in (State.READY, State.ENDING):
            return "busy" if self.status.busy_with or self.startup.shell_waits else "idle"
        if state in (State.RESTARTING, State.DEAD):
            return str(state)
        return "starting"
