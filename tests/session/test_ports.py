"""What a connect_reply says of ports."""

from __future__ import annotations

import pytest

from proxy.session.events import EndpointBound
from tests.messages import reply, request
from tests.session.playbook import Frontend, kernel, with_a_kernel

OURS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
alice = Frontend("alice")


@pytest.mark.parametrize("suffix", ["", "_port"])
def test_a_client_is_told_the_ports_at_which_it_may_come(suffix: str) -> None:
    """ipykernel says "shell", the protocol's page "shell_port"."""
    asked = request("connect")
    theirs = {f"{name}{suffix}": 9 for name in ("shell", "iopub", "stdin", "control", "hb")}
    answer = reply(asked, status="ok", **theirs)
    playbook = with_a_kernel().when(EndpointBound(at=0, ports=OURS), alice.sends(asked))
    playbook.when(EndpointBound(at=0, ports=dict.fromkeys(OURS, 7)))  # the first one counts
    (sent,) = playbook.when(kernel.answers(alice, answer)).done
    assert sent.message.content() == {  # type: ignore[attr-defined]
        "status": "ok",
        **{f"{name.removesuffix('_port')}{suffix}": port for name, port in OURS.items()},
    }


def test_an_error_and_what_is_no_object_pass_as_they_are() -> None:
    for content in ({"status": "error", "ename": "NotImplementedError"}, {}):
        asked = request("connect")
        answer = reply(asked, **content)
        playbook = with_a_kernel().when(EndpointBound(at=0, ports=OURS), alice.sends(asked))
        (sent,) = playbook.when(kernel.answers(alice, answer)).done
        assert sent.message is answer  # type: ignore[attr-defined]
