"""What documents are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientProtocolError
from proxy.record.addresses import (
    bytes_of,
    document_id_in,
    document_id_of,
    new_document_id,
    url_of,
)

KNOWN = {
    # Made with automerge-repo 2.5.6 (binaryToDocumentId).
    "00000000000000000000000000000000": "11111111111111114Ki9Gx",
    "ffffffffffffffffffffffffffffffff": "4ZrjxJnU1LA5xSyrWMNuXTozYEvA",
    "000102030405060708090a0b0c0d0e0f": "1Bhh3pU9gLXZiNDL6PEa1Gs9fh",
    "a5b1a2d0c3e44e4f8a9b0c1d2e3f4051": "3JtSStemXVBAC21V75YUAB96xf4L",
}


@pytest.mark.parametrize(("raw", "document_id"), KNOWN.items())
def test_ids_are_those_of_automerge_repo(raw: str, document_id: str) -> None:
    assert document_id_of(bytes.fromhex(raw)) == document_id
    assert bytes_of(document_id).hex() == raw


@given(st.binary(min_size=16, max_size=16))
def test_an_id_and_its_url_lead_back(raw: bytes) -> None:
    document_id = document_id_of(raw)
    assert bytes_of(document_id) == raw
    assert document_id_in(url_of(document_id)) == document_id


def test_a_new_id_is_a_random_uuid() -> None:
    raw = bytes_of(new_document_id())
    assert (raw[6] >> 4, raw[8] >> 6) == (4, 0b10), "version and variant of RFC 9562"
    assert new_document_id() != new_document_id()


@given(st.binary(min_size=16, max_size=16), st.data())
def test_a_slip_of_the_pen_is_noticed(raw: bytes, data: st.DataObject) -> None:
    right = document_id_of(raw)
    at = data.draw(st.integers(0, len(right) - 1))
    wrong = right[:at] + data.draw(st.sampled_from("1A2zyx0OIl ")) + right[at + 1 :]
    if wrong != right:
        with pytest.raises(ClientProtocolError):
            bytes_of(wrong)


@given(st.text(max_size=40))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ClientProtocolError):
        bytes_of(text)
    with pytest.raises(ClientProtocolError):
        document_id_in(text)


def test_a_url_may_name_a_moment() -> None:
    document_id = new_document_id()
    assert document_id_in(url_of(document_id) + "#2Dq7k|3Ab") == document_id
    with pytest.raises(ClientProtocolError, match="automerge:"):
        document_id_in("https://" + document_id)
