"""What the kernel is really doing."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import Message
from proxy.session.status import MAX_BUSY, KernelStatus
from tests.messages import cell, request, status


def busy_with(kernel: KernelStatus) -> str | None:
    return kernel.busy_with.header.msg_id if kernel.busy_with else None


def test_busy_from_the_first_busy_to_the_last_idle() -> None:
    """Control and subshells overlap with the main shell."""
    kernel = KernelStatus()
    running, asked = cell(), request("debug")
    assert busy_with(kernel) is None
    assert kernel.observe(status("busy", running)) is None
    kernel.observe(status("busy", asked))
    assert kernel.is_busy_with(running.msg_id)
    assert kernel.is_busy_with(asked.msg_id)
    assert kernel.observe(status("idle", asked)) == asked.msg_id
    assert busy_with(kernel) == running.msg_id
    assert kernel.observe(status("idle", running)) == running.msg_id
    assert busy_with(kernel) is None


def test_a_cell_is_named_before_all_else() -> None:
    kernel = KernelStatus()
    asked, running = request("complete"), cell()
    kernel.observe(status("busy", asked))
    assert busy_with(kernel) == asked.msg_id
    kernel.observe(status("busy", running))
    assert busy_with(kernel) == running.msg_id
    assert kernel.busy_with is not None
    assert kernel.busy_with.raw_header == running.raw_header


def test_an_idle_without_its_busy_is_still_told() -> None:
    """Its busy was lost before kmux's subscription took effect."""
    kernel = KernelStatus()
    asked = cell()
    assert kernel.observe(status("idle", asked)) == asked.msg_id


def test_other_states_and_odd_messages_change_nothing() -> None:
    kernel = KernelStatus()
    running = cell()
    kernel.observe(status("busy", running))
    assert kernel.observe(status("starting")) is None
    assert kernel.observe(status("idle")) is None, "nobody's idle"
    assert kernel.observe(status("restarting", running)) is None
    for raw in (b"", b"null", b"[]", b'{"execution_state": 7}', b"{}", b"\xff"):
        odd = msgspec.structs.replace(status("idle", running), raw_content=raw)
        assert kernel.observe(odd) is None
    assert busy_with(kernel) == running.msg_id


def test_a_kernel_that_never_idles_does_not_fill_memory() -> None:
    kernel = KernelStatus()
    sent = [request("x") for _ in range(MAX_BUSY + 1)]
    for asked in sent:
        kernel.observe(status("busy", asked))
    assert not kernel.is_busy_with(sent[0].msg_id)
    assert busy_with(kernel) == sent[1].msg_id


def test_a_kernel_that_is_gone_does_nothing() -> None:
    kernel = KernelStatus()
    kernel.observe(status("busy", cell()))
    kernel.reset()
    assert busy_with(kernel) is None


@given(script=st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=40))
def test_it_is_busy_while_any_request_is(script: list[tuple[bool, int]]) -> None:
    kernel = KernelStatus()
    known: list[Message] = [cell() if n % 2 else request("x") for n in range(5)]
    running: set[int] = set()
    for busy, number in script:
        kernel.observe(status("busy" if busy else "idle", known[number]))
        (running.add if busy else running.discard)(number)
        assert (kernel.busy_with is not None) == bool(running)
        cells = {known[n].msg_id for n in running if n % 2}
        assert not cells or busy_with(kernel) in cells
