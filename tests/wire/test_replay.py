"""A signature is accepted once; memory stays bounded."""

from __future__ import annotations

from proxy.wire.replay import REMEMBERED_SIGNATURES, ReplayGuard


def signature(number: int) -> bytes:
    return f"{number:064x}".encode()


def test_a_signature_is_seen_the_second_time() -> None:
    guard = ReplayGuard()
    assert not guard.seen(signature(1))
    assert not guard.seen(signature(2))
    assert guard.seen(signature(1))
    assert guard.seen(signature(1)), "and every time after that"


def test_unsigned_messages_are_never_replays() -> None:
    guard = ReplayGuard()
    assert not guard.seen(b"")
    assert not guard.seen(b"")


def test_the_latest_half_is_always_remembered_and_none_beyond_the_whole() -> None:
    """As jupyter_client's history: at most ``REMEMBERED_SIGNATURES``, and never fewer than half."""
    guard = ReplayGuard()
    half = REMEMBERED_SIGNATURES // 2
    count = 3 * REMEMBERED_SIGNATURES + 17
    for number in range(count):
        assert not guard.seen(signature(number))
        assert len(guard._new) + len(guard._old) <= REMEMBERED_SIGNATURES
    assert all(guard.seen(signature(number)) for number in range(count - half, count))
    assert not guard.seen(signature(0)), "what is long past is forgotten"


def test_asking_about_an_old_one_does_not_push_others_out() -> None:
    guard = ReplayGuard()
    half = REMEMBERED_SIGNATURES // 2
    for number in range(half):
        guard.seen(signature(number))
    for _ in range(3 * half):
        assert guard.seen(signature(0))
    assert guard.seen(signature(half - 1))
