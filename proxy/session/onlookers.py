"""Clients that may look and not touch: a port set of its own for them, since iopub names nobody.

Theory: what a request may do to a kernel is told by its type, and only some are known to do
nothing. Completion and inspection are not among them: both run the code of the objects that they
look at. Of comms, an onlooker may ask for states, which is how JupyterLab finds widgets; it opens
a control comm for that, and closes it. The rest is answered with an error, or, where a message has
no answer, with a busy/idle pair, since ipywidgets waits for one; the kernel hears nothing of it.

Everything that changes this state is in this file.
"""

from __future__ import annotations

import msgspec

from proxy.message import Channel
from proxy.session import widgets
from proxy.session.answers import Answers
from proxy.session.commands import Command, Log
from proxy.session.comms import read
from proxy.session.events import ClientSent

ALLOWED = frozenset(
    {
        "kernel_info_request",
        "comm_info_request",
        "connect_request",
        "history_request",
        "is_complete_request",
        "list_subshell_request",
    }
)
READ_ONLY = ("ReadOnly", "this connection may look and not touch; attach without --read-only")
MAX_CONTROL_COMMS = 10_000


class _Shutdown(msgspec.Struct, frozen=True):
    restart: bool = False


_shutdown_decoder = msgspec.json.Decoder(_Shutdown)


class Onlookers:
    """The endpoints of those who may only look, and what is not done for them."""

    def __init__(self, answers: Answers) -> None:
        self.tags: set[bytes] = set()
        self._answers = answers
        self._control_comms: dict[str, None] = {}
        """The control comms that onlookers have open; in order."""

    def refusal(self, event: ClientSent) -> list[Command] | None:
        """Refuse what might touch the kernel. None: it does not."""
        msg_type = event.message.header.msg_type
        if event.channel is Channel.STDIN:
            return [Log("message.refused", {"client": event.client, "why": READ_ONLY[1]})]
        if msg_type in ALLOWED or self._only_asks(event) or _leaves(event):
            return None
        if msg_type.endswith("_request"):
            return self._answers.refuse(event, *READ_ONLY)
        return self._answers.published(event, [])

    def _only_asks(self, event: ClientSent) -> bool:
        """Whether a comm message asks for states, or opens or closes what it is asked on."""
        msg_type = event.message.header.msg_type
        if msg_type not in ("comm_open", "comm_msg", "comm_close"):
            return False
        content = read(event.message)
        if content is None:
            return False
        if msg_type == "comm_open":
            if content.target_name != widgets.CONTROL_TARGET:
                return False
            self._control_comms[content.comm_id] = None
            if len(self._control_comms) > MAX_CONTROL_COMMS:
                del self._control_comms[next(iter(self._control_comms))]
            return True
        if msg_type == "comm_close":
            known = content.comm_id in self._control_comms
            self._control_comms.pop(content.comm_id, None)
            return known
        return content.method in ("request_state", "request_states")


def _leaves(event: ClientSent) -> bool:
    """Whether this is a goodbye, and no wish for a restart."""
    if event.message.header.msg_type != "shutdown_request":
        return False
    shutdown = event.message.content_as(_shutdown_decoder)
    return shutdown is not None and not shutdown.restart
