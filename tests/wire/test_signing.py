"""Signatures, with jupyter_client's own Session as the oracle."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from proxy.errors import ConfigError
from proxy.wire.signing import JOIN_LIMIT_BYTES, Signer, signer
from tests.strategies import keys

KEY = b"0123456789abcdef"
PARTS = (b'{"msg_id":"1"}', b"{}", b"{}", b'{"code":"1"}')


def works_with_jupyter(scheme: str) -> bool:
    """Whether jupyter_client's Session can sign with this scheme."""
    try:
        return bool(Session(key=KEY, signature_scheme=scheme).sign(list(PARTS)))
    except Exception:
        return False


NAMES = sorted(hashlib.algorithms_available | {n for n in dir(hashlib) if not n.startswith("_")})
SCHEMES = [f"hmac-{name}" for name in NAMES]
JUPYTER_SCHEMES = [scheme for scheme in SCHEMES if works_with_jupyter(scheme)]


def test_the_oracle_knows_the_usual_schemes() -> None:
    assert {"hmac-sha256", "hmac-md5", "hmac-sha512", "hmac-sha3_256", "hmac-blake2b"} <= set(
        JUPYTER_SCHEMES
    )


@pytest.mark.parametrize("scheme", JUPYTER_SCHEMES)
def test_signatures_are_those_of_jupyter_client(scheme: str) -> None:
    theirs = Session(key=KEY, signature_scheme=scheme).sign(list(PARTS))
    ours = signer(KEY, scheme)
    assert ours.sign(*PARTS) == theirs
    assert ours.verify(theirs, *PARTS)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_signs_or_is_refused_when_it_is_named(scheme: str) -> None:
    """Not at the first message: shake_128 has no digest size, ``new`` is no digest at all."""
    try:
        made = signer(KEY, scheme)
    except ConfigError as error:
        assert scheme not in JUPYTER_SCHEMES
        assert scheme in str(error)
    else:
        assert made.verify(made.sign(*PARTS), *PARTS)


@pytest.mark.parametrize("scheme", ["", "sha256", "hmac", "hmac-", "hmac-sha257", "HMAC-sha256"])
def test_an_unknown_scheme_is_a_config_error(scheme: str) -> None:
    with pytest.raises(ConfigError, match="use hmac-sha256 in the connection file"):
        signer(KEY, scheme)


def test_an_empty_key_means_unsigned() -> None:
    unsigned = signer(b"")
    assert unsigned.sign(*PARTS) == b""
    assert unsigned.verify(b"", *PARTS)
    assert unsigned.verify(b"whatever", *PARTS), "as jupyter_client: nothing is checked"


def test_equal_keys_are_one_signer() -> None:
    one = signer(KEY, "hmac-sha256")
    assert signer(bytes(bytearray(KEY)), "hmac-sha256") is one
    assert signer(KEY, "hmac-sha512") is not one
    assert signer(KEY + b"x", "hmac-sha256") is not one


@given(
    key=keys,
    parts=st.tuples(*[st.binary(max_size=60)] * 4),
    padding=st.sampled_from([0, JOIN_LIMIT_BYTES - 1, JOIN_LIMIT_BYTES, JOIN_LIMIT_BYTES + 1]),
)
def test_large_content_and_views_are_signed_alike(
    key: bytes, parts: tuple[bytes, bytes, bytes, bytes], padding: int
) -> None:
    large = (*parts[:3], parts[3] + b"x" * padding)
    theirs = Session(key=key).sign(list(large))
    ours = Signer(key, "sha256")
    assert ours.sign(*large) == theirs
    assert ours.sign(*map(memoryview, large)) == theirs
    assert ours.verify(memoryview(theirs), *map(memoryview, large))


@given(
    parts=st.tuples(*[st.binary(max_size=20)] * 4),
    part=st.integers(0, 3),
    at=st.integers(0, 19),
    bit=st.integers(0, 7),
)
def test_no_bit_can_be_changed(parts: tuple[bytes, ...], part: int, at: int, bit: int) -> None:
    changed = list(parts)
    raw = bytearray(parts[part] or b"\x00")
    raw[at % len(raw)] ^= 1 << bit
    changed[part] = bytes(raw)
    ours = signer(KEY)
    assert not ours.verify(ours.sign(*parts), *changed)


@given(parts=st.tuples(*[st.binary(max_size=20)] * 4), wrong=st.binary(max_size=80))
def test_nothing_else_is_a_signature(parts: tuple[bytes, ...], wrong: bytes) -> None:
    """Whatever stands there, too short, too long or not ASCII: it is wrong, and no error."""
    ours = signer(KEY)
    assert ours.verify(wrong, *parts) == (wrong == ours.sign(*parts))
