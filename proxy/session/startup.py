"""A kernel that comes up: asked until it answers and is heard, frontends' requests held meanwhile.

Theory: the subscription to a new kernel's iopub takes effect some time after its shell socket
connects, and what it publishes before is lost ("first output missed", jupyter_client#593). So
kmux asks for kernel_info until the reply *and* an iopub message have come, and holds what
frontends send until then, in order. A kernel that was never heard on iopub after
``PROVE_ATTEMPTS`` is taken to publish nothing.

Some kernels are to run something before anybody's code (Deno's gives permissions away by it): that
is sent when the kernel is proven, and what is held waits for its reply.

A kernel that kmux finds running may be busy: it is asked on control as well, and while its shell
has not answered it is busy.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from proxy.message import ClientId
from proxy.session.events import LASTING, ClientSent

PROVE_TIMER = "prove"
PROVE_SECONDS = 0.3
PROVE_ATTEMPTS = 30
"""Some 10 s."""
MAX_HELD = 10_000
"""Requests that wait for a starting kernel."""


class Startup:
    """What is known of a kernel that comes up, and who waits for it."""

    def __init__(self) -> None:
        self.answered = False
        self.heard = False
        self.start_code = ""
        """What is to be run before the kernel is anybody's."""
        self.runs_code = False
        """Whether that was sent, and is not answered yet."""
        self.shell_waits = False
        """Whether a kernel that was found running has yet to answer on shell."""
        self._attempts = self._unanswered = 0
        self.held: list[ClientSent] = []

    @property
    def proven(self) -> bool:
        """Whether the kernel can be trusted with requests."""
        return self.answered and (self.heard or self._attempts >= PROVE_ATTEMPTS)

    def begin(self, *, found: bool = False, start_code: str = "") -> None:
        """Another kernel comes up, or one was found that runs."""
        self.answered = self.heard = self.runs_code = False
        self.start_code = start_code
        self.shell_waits = found
        self._attempts = self._unanswered = 0

    def ask_again(self) -> bool:
        """The timer ran out: whether to ask once more.

        A kernel that has not answered yet has the question in its queue: it is asked again where
        its answer came and its iopub was not heard, and else only now and then, in case the
        question was lost.
        """
        self._attempts += self.answered
        self._unanswered += not self.answered
        return self.answered or self._unanswered % PROVE_ATTEMPTS == 0

    def hold(self, event: ClientSent) -> bool:
        """Keep a request for later. Returns False where too many are kept."""
        if len(self.held) >= MAX_HELD:
            return False
        self.held.append(event)
        return True

    def drop(self, client: ClientId) -> list[ClientSent]:
        """A client is gone. Returns what was held of it and would leave something behind."""
        dropped = [event for event in self.held if event.is_of(client, LASTING)]
        self.held = [event for event in self.held if not event.is_of(client, LASTING)]
        return dropped

    def release_type(self, msg_type: str) -> list[ClientSent]:
        """Give back what was held of one type, in order."""
        of_type = [event for event in self.held if event.message.header.msg_type == msg_type]
        self.held = [event for event in self.held if event.message.header.msg_type != msg_type]
        return of_type

    def release(self) -> list[ClientSent]:
        """Give back what was held, in order."""
        held, self.held = self.held, []
        return held
