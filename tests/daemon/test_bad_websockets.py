"""What the daemon makes of WebSockets whose clients break the protocol, or only look."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from websocket import (
    ABNF,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    create_connection,
)

from tests.daemon.rude import SESSION, undisturbed
from tests.frontends.kmux_process import DEADLINE, Daemon, until
from tests.frontends.web_client import WebApi, WebKernel, api_of, printed

pytestmark = pytest.mark.timeout(120)

MEGABYTE = 1024 * 1024
CONTINUED = ABNF.OPCODE_CONT


@contextmanager
def connected(api: WebApi, ident: str, session_id: str) -> Iterator[WebKernel]:
    """Connect. The client's own ``close`` leaves a socket open that the other side has closed."""
    kernel = api.connect(ident, session_id)
    try:
        yield kernel
    finally:
        kernel.connection.shutdown()


def kernel_id(api: WebApi, session: str = SESSION) -> str:
    kernels = api.get("api/kernels")
    return next(str(each["id"]) for each in kernels if each["kmux"]["session"] == session)


def close_code(kernel: WebKernel) -> int:
    """Read until the other side closes the WebSocket. Returns why; 0 where it says nothing."""
    try:
        while True:
            opcode, payload = kernel.connection.recv_data(control_frame=True)
            if opcode == ABNF.OPCODE_CLOSE:
                return int.from_bytes(payload[:2], "big")
    except (WebSocketConnectionClosedException, ConnectionError):
        return 0


def frame(payload: bytes, opcode: int = ABNF.OPCODE_BINARY, fin: int = 1) -> bytes:
    """Make a frame as a client has to: with a mask."""
    return ABNF(fin, 0, 0, 0, opcode, 1, payload).format()


BROKEN: list[tuple[bytes, int]] = [
    (b"\xff" * 20, 1002),  # reserved bits
    (b"\x82\x05hello", 1002),  # no mask
    (b"\x83\x80\0\0\0\0", 1002),  # an opcode that there is not
    (b"\x80\x80\0\0\0\0", 1002),  # goes on with nothing
    (b"\x89\xfe\x01\x00\0\0\0\0" + bytes(256), 1002),  # a ping that is too long
    (frame(b"\xff\xfe", ABNF.OPCODE_TEXT), 1007),
    (frame(b'{"x": "\xc3', ABNF.OPCODE_TEXT), 1007),  # half a character
    (frame(b"x" * 10, ABNF.OPCODE_TEXT, fin=0) + frame(b"\xff", CONTINUED), 1007),
    (b"GET / HTTP/1.1\r\n\r\n", 1002),
]


def test_frames_that_break_the_protocol_end_one_connection(daemon: Daemon) -> None:
    with undisturbed(daemon) as api:
        ident = kernel_id(api)
        for said, code in BROKEN:
            with connected(api, ident, "rude") as rude, connected(api, ident, "polite") as polite:
                rude.connection.sock.sendall(said)
                assert close_code(rude) == code, said
                asked = polite.send("kernel_info_request", {})
                assert polite.reply(asked)["status"] == "ok"


def test_who_sends_no_utf8_comes_back_and_has_missed_nothing(daemon: Daemon) -> None:
    """jupyter_server's gateway client does so, with what a widget has of buffers."""
    daemon.kmux("new", SESSION)
    api = api_of(daemon)
    ident = kernel_id(api)
    with connected(api, ident, "gateway") as before:
        cell = before.execute("import time\nfor n in range(200): print(n); time.sleep(0.01)")
        before.hear(lambda message: message["header"]["msg_type"] == "stream")
        before.connection.sock.sendall(frame(b'{"buffers": "\xff\xfe"}', ABNF.OPCODE_TEXT))
        assert close_code_of_all(before) == 1007
    with connected(api, ident, "gateway") as after:
        after.until_idle(cell)
        assert after.reply(cell)["status"] == "ok"
        lines = printed([before, after], cell).split()
        # What was under way when it broke comes again.
        assert list(dict.fromkeys(lines)) == [str(number) for number in range(200)]


def close_code_of_all(kernel: WebKernel) -> int:
    """Hear all that comes until the WebSocket is closed. Returns why it is."""
    codes: list[int] = []

    def receive() -> bytes:
        while True:
            opcode, payload = kernel.connection.recv_data(control_frame=True)
            if opcode == ABNF.OPCODE_CLOSE:
                codes.append(int.from_bytes(payload[:2], "big"))
                raise WebSocketConnectionClosedException
            if opcode == ABNF.OPCODE_BINARY:
                return payload

    kernel.connection.recv = receive
    with pytest.raises(WebSocketConnectionClosedException):
        kernel.hear(lambda message: False)
    return codes[0]


def test_messages_in_fragments_are_put_together(daemon: Daemon) -> None:
    daemon.kmux("new", SESSION)
    api = api_of(daemon)
    with connected(api, kernel_id(api), "pieces") as kernel:
        sent: list[bytes] = []
        kernel.connection.send_binary = sent.append
        cell = kernel.execute("print(6 * 7)")
        (payload,) = sent
        pieces = [payload[at : at + 7] for at in range(0, len(payload), 7)]
        for number, piece in enumerate(pieces):
            opcode = CONTINUED if number else ABNF.OPCODE_BINARY
            last = int(number == len(pieces) - 1)
            kernel.connection.sock.sendall(
                frame(piece, opcode, last) + frame(b"", ABNF.OPCODE_PING)
            )
        kernel.until_idle(cell)
        assert kernel.printed(cell) == "42\n"


def test_a_message_without_end_is_cut_off_and_its_memory_given_back(daemon: Daemon) -> None:
    with undisturbed(daemon) as api:
        daemon.kmux("new", "quiet", "--kernel", "bash")
        process = psutil.Process(daemon.pid)
        before = process.memory_info().rss
        with connected(api, kernel_id(api, "quiet"), "flood") as rude:
            sent, most = pour(rude, lambda: process.memory_info().rss)
        assert 200 * MEGABYTE < sent < 300 * MEGABYTE
        assert most - before < 400 * MEGABYTE
        until(
            lambda: process.memory_info().rss - before < 50 * MEGABYTE,
            "the memory is given back",
        )


def pour(rude: WebKernel, look: Callable[[], int]) -> tuple[int, int]:
    """Send a message in pieces, until nobody takes it any more. Returns how much that was, and the
    most that was seen meanwhile."""
    piece, most = os.urandom(MEGABYTE), 0
    for number in range(1000):
        opcode = CONTINUED if number else ABNF.OPCODE_BINARY
        try:
            rude.connection.sock.sendall(frame(piece, opcode, fin=0))
        except ConnectionError:
            return number * MEGABYTE, most
        most = max(most, look())
    raise AssertionError("it takes anything")


NO_MESSAGES: list[str | bytes] = [
    "hello",
    "",
    "{}",
    "[1, 2]",
    "null",
    '{"header": 7}',
    '{"header": {"msg_id": "a"}}',
    '{"channel": "iopub", "header": {"msg_id": "a", "msg_type": "status"}}',
    '{"channel": "nothing", "header": {"msg_id": "a", "msg_type": "x"}}',
    "[" * 100_000,
    b"",
    b"hello",
    b"\xff" * 100,
    b"{}",
    (6).to_bytes(8, "little") + (2**63).to_bytes(8, "little") * 6,
    (2**60).to_bytes(8, "little"),
    json.dumps({"channel": "shell", "header": {"msg_id": "x" * 70_000, "msg_type": "y"}}),
]


def test_what_is_no_jupyter_message_is_dropped_and_the_connection_stays(daemon: Daemon) -> None:
    with undisturbed(daemon) as api, connected(api, kernel_id(api), "junk") as kernel:
        for junk in NO_MESSAGES:
            if isinstance(junk, str):
                kernel.connection.send(junk)
            else:
                kernel.connection.send_binary(junk)
        asked = kernel.send("kernel_info_request", {})
        assert kernel.reply(asked)["status"] == "ok"
        until(
            lambda: "frames.rejected" in daemon.kmux("daemon", "logs", "-n", "1000"),
            "it is logged",
        )


def test_a_handshake_for_what_is_not_there_is_refused(daemon: Daemon) -> None:
    api = api_of(daemon)
    for ident in ("nothing", "%00", "00000000-0000-0000-0000-000000000000", "x" * 5000):
        with pytest.raises(WebSocketBadStatusException) as refused:
            api.connect(ident)
        assert refused.value.status_code == 404
        assert b"Kernel does not exist" in (refused.value.resp_body or b"")


def test_a_session_id_that_is_no_name_is_told_so(daemon: Daemon) -> None:
    daemon.kmux("new", SESSION, "--kernel", "bash")
    api = api_of(daemon)
    for name in ("x" * 129, "%00", "%0a", "%ff%fe" * 50):
        with connected(api, kernel_id(api), name) as kernel:
            opcode, payload = kernel.connection.recv_data(control_frame=True)
            assert opcode == ABNF.OPCODE_CLOSE, name
            assert int.from_bytes(payload[:2], "big") == 1008
            assert payload[2:] == b"session_id is a name of up to 128 characters"


def test_who_may_look_sees_what_others_do_and_does_nothing(daemon: Daemon) -> None:
    daemon.kmux("new", SESSION)
    api, looking = api_of(daemon), api_of(daemon, read_only=True)
    ident = kernel_id(api)
    with connected(api, ident, "owner") as owner, connected(looking, ident, "onlooker") as onlooker:
        assert onlooker.reply(onlooker.send("kernel_info_request", {}))["status"] == "ok"
        assert owner.run("x = 1; print('seen')") == "seen\n"
        cell = onlooker.execute("x = 2")
        refused = onlooker.reply(cell)
        assert (refused["status"], refused["ename"]) == ("error", "ReadOnly")
        assert "may look and not touch" in refused["evalue"]
        for channel, asked in (("control", "shutdown_request"), ("control", "interrupt_request")):
            onlooker.send(asked, {"restart": True}, channel)
        onlooker.until_idle(cell)
        seen = [each for each in onlooker.heard if each["header"]["msg_type"] == "stream"]
        assert [each["content"]["text"] for each in seen] == ["seen\n"]
        assert owner.run("print(x)") == "1\n", "the same kernel, and untouched"


def test_a_client_that_reads_nothing_harms_nobody(daemon: Daemon) -> None:
    """It is closed when it is too far behind, and its memory is bounded."""
    with undisturbed(daemon) as api:
        other = daemon.json("new", "flood")
        process = psutil.Process(daemon.pid)
        before = process.memory_info().rss
        with connected(api, kernel_id(api, "flood"), "deaf"):
            client = daemon.attach(other["connection_file"])
            client.reply(client.execute("for _ in range(150): print('x' * 1_000_000)"))
            assert process.memory_info().rss - before < 400 * MEGABYTE
        asked = time.monotonic()
        assert api.get("api/status")["kernels"] == 2
        assert time.monotonic() - asked < DEADLINE


def test_a_plain_client_without_the_subprotocol_is_served_in_the_legacy_form(
    daemon: Daemon,
) -> None:
    daemon.kmux("new", SESSION)
    api = api_of(daemon)
    url = f"{api.url.replace('http', 'ws', 1)}api/kernels/{kernel_id(api)}/channels"
    connection = create_connection(url, DEADLINE, header=[f"Authorization: token {api.token}"])
    try:
        asked = {"msg_id": "a", "msg_type": "kernel_info_request", "session": "s"}
        connection.send(json.dumps({"channel": "shell", "header": asked}))
        while (answer := json.loads(connection.recv()))["msg_type"] != "kernel_info_reply":
            pass
        assert answer["parent_header"]["msg_id"] == "a"
    finally:
        connection.close()
