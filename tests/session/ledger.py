"""A comm ledger that follows messages, as the session's does."""

from __future__ import annotations

from proxy.message import Message
from proxy.session.comms import CommMessage, Comms, read


def fold(comms: Comms, said: Message) -> CommMessage:
    """Take in one comm message of the kernel."""
    content = read(said)
    assert content is not None
    if said.msg_type == "comm_open":
        comms.open(said, content)
    elif said.msg_type == "comm_close":
        comms.close(content.comm_id)
    elif content.fields is not None:
        comms.fold(content.comm_id, content.fields)
    return content
