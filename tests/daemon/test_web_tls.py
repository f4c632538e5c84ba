"""The daemon's port with a certificate: HTTPS, and WebSockets in it."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path

import pytest
import trustme
from websocket import create_connection

from proxy.wire.websocket_frames import V1
from tests.daemon.rude import SESSION, answer, connect, head
from tests.frontends.kmux_process import DEADLINE, Workplace
from tests.frontends.web_client import WebKernel, api_of

pytestmark = pytest.mark.timeout(120)


def test_a_kernel_is_used_by_https_and_wss(workplace: Workplace, tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "server.pem"
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(file)
    workplace.environment["KMUX_TLS_CERTIFICATE"] = str(file)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with workplace.daemon() as daemon:
        daemon.kmux("new", SESSION)
        api = api_of(daemon)
        assert api.url.startswith("https://127.0.0.1:")
        url = f"{api.url}api/kernels?token={api.token}"
        with urllib.request.urlopen(url, timeout=DEADLINE, context=trust) as found:
            (model,) = json.load(found)
        url = f"{api.url.replace('http', 'ws', 1)}api/kernels/{model['id']}/channels"
        header = [f"Authorization: token {api.token}"]
        options = {"subprotocols": [V1], "header": header}
        socket = create_connection(url, DEADLINE, sslopt={"context": trust}, **options)
        with WebKernel(socket, None) as kernel:
            assert kernel.run("print(6 * 7)") == "42\n"
            long = kernel.run("print('x' * 3_000_000)")
            assert len(long) == 3_000_001
        with pytest.raises(ssl.SSLCertVerificationError):
            create_connection(url, DEADLINE, **options)
        with connect(api) as plain:
            plain.sendall(head(api, "GET", "/api"))
            assert not answer(plain).startswith(b"HTTP/"), "no token is answered in the clear"


def test_who_comes_back_by_wss_has_missed_nothing(workplace: Workplace, tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(file)
    workplace.environment["KMUX_TLS_CERTIFICATE"] = str(file)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with workplace.daemon() as daemon:
        session = daemon.json("new", SESSION)
        client = daemon.attach(session["connection_file"])
        api = api_of(daemon)
        url = f"{api.url}api/kernels?token={api.token}"
        with urllib.request.urlopen(url, timeout=DEADLINE, context=trust) as found:
            (model,) = json.load(found)
        url = f"{api.url.replace('http', 'ws', 1)}api/kernels/{model['id']}/channels"
        url += f"?token={api.token}&session_id=alice"

        def come() -> WebKernel:
            options = {"subprotocols": [V1], "sslopt": {"context": trust}}
            return WebKernel(create_connection(url, DEADLINE, **options), "alice")

        first = come()
        cell = client.execute("for n in range(50): print(n, flush=True)")
        first.until_idle(cell)
        first.connection.shutdown()
        client.run("print('missed')")
        with come() as again:
            missed = client.execute("print('live')")
            again.until_idle(missed)
            texts = [
                m["content"]["text"] for m in again.heard if m["header"]["msg_type"] == "stream"
            ]
            assert texts == ["missed\n", "live\n"]
