"""Messages that kmux makes up, in the kernel's name."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session as JupyterSession

from proxy.errors import KernelProtocolError
from proxy.session.composer import PROTOCOL_VERSION, Composer
from proxy.wire.signing import signer
from proxy.wire.zmq_frames import decode, encode
from tests.messages import as_json, cell, message, status

AT = 1_800_000_000.25


def test_a_header_is_complete_and_all_its_values_are_text() -> None:
    made = Composer("kmux-1").message("status", {}, AT)
    header = as_json(made.raw_header)
    assert set(header) == {"msg_id", "msg_type", "username", "session", "date", "version"}
    assert all(isinstance(value, str) for value in header.values())
    assert datetime.fromisoformat(header["date"]).timestamp() == AT
    assert (header["msg_type"], header["version"]) == ("status", PROTOCOL_VERSION)


def test_every_message_has_an_id_of_its_own() -> None:
    one, other = Composer("kmux-1"), Composer("kmux-2")
    ids = [composer.status("busy", AT).msg_id for composer in (one, other) for _ in range(100)]
    assert len(set(ids)) == 200


def test_the_parent_is_the_askers_header_byte_for_byte() -> None:
    asked = message("execute_request", msg_id="1", odd={"spaced": [1, 2]})
    made = Composer("kmux-1").status("busy", AT, asked.origin)
    assert made.raw_parent == asked.raw_header
    assert made.parent == asked.header
    assert made.content() == {"execution_state": "busy"}


def test_it_speaks_with_the_voice_of_the_kernel_once_it_was_heard() -> None:
    composer = Composer("kmux-1")
    before = as_json(composer.status("starting", AT).raw_header)
    assert (before["session"], before["username"]) == ("kmux-1", "kernel")
    composer.learn(message("status", session="of the kernel", username="ada", version="5.0"))
    after = as_json(composer.status("idle", AT).raw_header)
    assert (after["session"], after["username"]) == ("of the kernel", "ada")
    assert after["version"] == "5.0"


def test_a_kernel_without_a_session_is_spoken_for_under_our_own() -> None:
    """xeus-python sends an empty session, others none."""
    for session in ("", None):
        composer = Composer("kmux-1")
        composer.learn(message("status", session=session))
        assert as_json(composer.status("idle", AT).raw_header)["session"] == "kmux-1"


def test_odd_headers_teach_nothing() -> None:
    composer = Composer("kmux-1")
    composer.learn(message("status", session="s", username=["not", "text"]))
    assert composer.kernel_session == "kmux-1"


def test_the_topic_is_one_of_the_kernels() -> None:
    composer = Composer("kmux-1")
    assert composer.status("idle", AT).topic == b"kernel.kmux-1.status"
    composer.learn_topics(message("status", session="s", topic=b"kernel.its-id.status"))
    assert composer.status("idle", AT).topic == b"kernel.its-id.status"
    assert composer.message("execute_reply", {}, AT).topic == b"kernel.its-id.execute_reply"
    assert composer.message("comm_msg", {}, AT, topic=b"comm-1").topic == b"comm-1"
    assert composer.engine == "its-id"
    composer.learn_topics(message("status", session="s", topic=b"status"))
    assert (composer.status("idle", AT).topic, composer.engine) == (b"status", None)
    composer.forget_topics()
    assert not composer.knows_topics


def test_raw_content_is_taken_as_it_is() -> None:
    made = Composer("k").message("x", b'{ "a" :1}', AT, metadata=b'{"b": 2 }')
    assert (made.raw_content, made.raw_metadata) == (b'{ "a" :1}', b'{"b": 2 }')


@given(content=st.dictionaries(st.text(), st.text()), at=st.floats(0, 4e9))
def test_jupyter_client_takes_it_for_a_message(content: dict[str, str], at: float) -> None:
    theirs = JupyterSession(key=b"key")
    asked = cell()
    made = Composer("kmux-1").message("execute_reply", content, at, parent=asked.origin)
    frames = encode((b"a",), made, signer(b"key"))
    _, rest = theirs.feed_identities(frames)
    got = theirs.deserialize(rest)
    assert got["content"] == content
    assert (
        got["header"]["date"].timestamp() == round(at, 6)
        or abs(got["header"]["date"].timestamp() - at) < 1e-5
    )
    assert got["parent_header"]["msg_id"] == asked.msg_id


def test_it_decodes_to_what_it_is() -> None:
    made = Composer("kmux-1").status("idle", AT, status("busy", cell()).parent_origin)
    frames = encode((made.topic,), made, signer(b""))
    _, again = decode(frames, signer(b""), KernelProtocolError)
    assert (again.header, again.parent) == (made.header, made.parent)
    assert again.topic == made.topic
