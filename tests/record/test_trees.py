"""Small pieces of the shape."""

from __future__ import annotations

from proxy.record import trees
from proxy.record.state import SessionRecord
from proxy.record.values import Json, Large


def test_times_are_written_as_the_protocol_writes_dates() -> None:
    assert trees.time_text(1_800_000_000.25) == "2027-01-15T08:00:00.250000Z"
    assert trees.time_text(None) is None


def test_values_say_what_they_are() -> None:
    large = Large("image/png", "base64", 3, sha256="ab")
    named = {"blob": "ab", "size": 3, "media_type": "image/png", "encoding": "base64"}
    assert trees.value_tree("text") == "text"
    assert trees.value_tree(Json("[1]")) == {"json": "[1]"}
    assert trees.value_tree(large) == trees.json_tree(large) == named
    assert trees.json_tree(Json("{}")) == "{}"


def test_a_queue_is_json() -> None:
    record = SessionRecord("s", "k")
    assert trees.queue_tree(record) == "[]"
