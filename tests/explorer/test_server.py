"""The local server, over real sockets: who is answered, what is sent, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxysr.__main__ import main
from proxysr.config import ConfigError
from proxysr.explorer import server as of_server
from proxysr.explorer.scene import Scene
from proxysr.explorer.server import POLICY, Handler, Server, check_port, serve
from proxysr.run import RunDir
from tests.conftest import ROOT
from tests.explorer.unpacking import unpack


@pytest.fixture
def server(scene: Scene) -> Iterator[Server]:
    with Server(scene) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


class Said:
    """An answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()


def say(server: Server, path: str, body: Any = None, *, token: bool = True, **headers: str) -> Said:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        address = path + (f"?token={server.token}" if token else "")
        data = None if body is None else json.dumps(body) if not isinstance(body, bytes) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if data is None else "POST", address, data, named)
        return Said(connection.getresponse())
    finally:
        connection.close()


def test_the_page_is_served_with_its_rules(server: Server) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/explorer.js", "text/javascript"),
        ("/explorer.css", "text/css"),
        ("/payload.json", "application/json"),
        ("/payload.bin", "application/octet-stream"),
        ("/else", "text/plain"),
    ):
        said = say(server, path)
        assert said.status == (404 if path == "/else" else 200)
        assert said.headers["Content-Type"].startswith(kind)
        assert said.headers["Content-Security-Policy"] == POLICY
        assert said.headers["X-Content-Type-Options"] == "nosniff"
        assert said.headers["Cache-Control"] == "no-store"
        assert said.headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in POLICY
    assert "unsafe" not in POLICY
    page = say(server, "/").body.decode()
    assert server.token not in page
    assert not re.search(r"<script(?! type=\"module\" src=)|<style| style=| on\w+=", page)


def test_the_payload_is_the_scene_s(server: Server, scene: Scene) -> None:
    header, blob = json.loads(say(server, "/payload.json").body), say(server, "/payload.bin").body
    assert unpack(header, blob)["sessions"]["id"] == scene.tree["sessions"]["id"]


def test_requests_are_answered(server: Server) -> None:
    said = say(server, "/request", {"id": 5, "kind": "items", "text": "lamp 7"})
    assert json.loads(said.body)["answer"][0]["title"] == "Lamp 7"
    said = say(server, "/request", {"id": 6, "kind": "nothing"})
    assert (said.status, json.loads(said.body)["id"]) == (200, 6)
    for body, status in ((b"{", 400), (b"[" * 100_000, 400), (b"\xff", 400)):
        assert say(server, "/request", body).status == status
    assert say(server, "/else", {}).status == 404


def test_only_who_has_the_token_is_answered(server: Server) -> None:
    for path in ("/", "/payload.json", "/explorer.js", "/else"):
        assert say(server, path, token=False).status == 403
    assert say(server, "/request", {"id": 1}, token=False).status == 403
    wrong = server.token[:-1] + ("a" if server.token[-1] != "a" else "b")
    assert say(server, f"/?token={wrong}", token=False).status == 403
    assert say(server, "/?token=%ff%fe", token=False).status == 403
    cookie = say(server, "/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    shown = cookie.partition(";")[0]
    assert say(server, "/payload.json", token=False, Cookie=shown).status == 200
    assert say(server, "/payload.json", token=False, Cookie=shown + "x").status == 403
    assert say(server, "/payload.json", token=False, Cookie="\x01;=;").status == 403
    assert "printed" in say(server, "/", token=False).body.decode()


def test_foreign_names_are_refused(server: Server) -> None:
    port = server.server_port
    for host in (f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", ""):
        assert say(server, "/", Host=host).status == 403
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        assert say(server, "/", Host=host).status == 200
        asked = {"id": 1, "kind": "items", "text": ""}
        assert say(server, "/request", asked, Host=host, Origin=f"http://{host}").status == 200
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", "http://127.0.0.1"):
        assert say(server, "/request", {"id": 1}, Origin=origin).status == 403
        assert say(server, "/payload.json", Origin=origin).status == 403


def raw(server: Server, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as line:
        line.sendall(text)
        found = b""
        while part := line.recv(65536):
            found += part
        return found


def test_requests_say_how_long_they_are(server: Server) -> None:
    head = (
        f"POST /request?token={server.token} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
    )
    for length, status in (
        ("", b" 411 "),
        ("Content-Length: -1\r\n", b" 411 "),
        ("Content-Length: x\r\n", b" 411 "),
        ("Transfer-Encoding: chunked\r\n", b" 411 "),
        ("Content-Length: 99999999999\r\n", b" 413 "),
    ):
        assert status in raw(server, f"{head}{length}\r\n".encode()).partition(b"\r\n")[0]
    odd = raw(server, f"BREW / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
    assert b" 501 " in odd.partition(b"\r\n")[0]
    assert b"Content-Security-Policy" in odd, "refusals keep the rules"


def test_a_silent_connection_blocks_nobody_and_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.5)
    silent = [
        socket.create_connection(("127.0.0.1", server.server_port), timeout=20) for _ in range(20)
    ]
    head = f"POST /request?token={server.token} HTTP/1.1\r\nContent-Length: 99\r\n"
    silent[1].sendall(b"GET /")
    silent[2].sendall(f"{head}Host: 127.0.0.1:{server.server_port}\r\n\r\n{{".encode())
    start = time.monotonic()
    assert say(server, "/request", {"id": 1, "kind": "items", "text": "lamp"}).status == 200
    assert time.monotonic() - start < 5
    for one in silent:
        assert one.recv(1000) == b"" or one is silent[2], "closed by the server"
        one.close()


def test_one_request_at_a_time_uses_the_model(
    server: Server, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = [0], [0]

    def slow(*_: Any) -> int:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1
        return 0

    from proxysr.explorer import requests

    monkeypatch.setitem(requests.KINDS_OF_REQUEST, "slow", slow)
    threads = [
        threading.Thread(target=say, args=(server, "/request", {"id": i, "kind": "slow"}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_port_in_use_is_said(server: Server, scene: Scene) -> None:
    with pytest.raises(ConfigError, match=f"Port {server.server_port} cannot be used"):
        check_port(server.server_port)
    with pytest.raises(ConfigError, match=f"Port {server.server_port} cannot be used"):
        Server(scene, server.server_port)
    for port in (-1, 65_536):
        with pytest.raises(ConfigError, match=f"received {port}"):
            check_port(port)
    check_port(0)
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_interrupted(scene: Scene, number: signal.Signals) -> None:
    """With a silent connection open; the port is free again, and signals mean what they did."""
    before = signal.getsignal(number)
    silent: list[socket.socket] = []

    def ready(link: str) -> None:
        silent.append(socket.create_connection(("127.0.0.1", int(urlsplit(link).port or 0))))
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()

    link = serve(scene, ready=ready)
    silent[0].close()
    check_port(int(urlsplit(link).port or 0))
    assert signal.getsignal(number) == before


def test_the_command_ends_cleanly(run: RunDir) -> None:
    """With a silent connection open; the port is free again, and the exit code is 0."""
    words = [sys.executable, "-m", "proxysr", "explore", str(run.path), "--split", "train"]
    process = subprocess.Popen(
        words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stderr is not None
        link = None
        for line in process.stderr:
            link = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=\S+", line)
            if link is not None:
                break
        assert link is not None
        port = int(link[1])
        with socket.create_connection(("127.0.0.1", port)):
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")
        assert "is no longer served" in out
        check_port(port)
    finally:
        process.kill()
        process.communicate()


def test_the_address_is_printed_while_it_is_served(
    run: RunDir, scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(scene: Scene, *, port: int, ready: Callable[[str], None]) -> None:
        ready("http://here")
        assert json.loads(capsys.readouterr().out) == {"address": "http://here"}

    monkeypatch.setattr("proxysr.explorer.scene.Scene", lambda *_, **__: scene)
    monkeypatch.setattr(of_server, "serve", serve)
    assert main(["explore", str(run.path), "--split", "train", "--json"]) == 0
    assert capsys.readouterr().out == "", "one object"
    assert main(["explore", "--help"]) == 0
    assert "it is\nkept in RUN_DIR/cache" in capsys.readouterr().out


def test_what_cannot_be_served_is_said_before(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(of_server, "Server", None)
    words = ["explore", str(run.path), "--split", "train"]
    other = tmp_path / "other.csv"
    other.write_text("session_id\nzzz\n")
    for more, message in (
        (["--port", "70000"], "received 70000"),
        (["--selection", str(tmp_path / "none.csv")], "There is no selection at"),
        (["--selection", str(other)], "None of the 1 sessions of the selection is in part 'train'"),
        (["--compare", str(run.path)], "is the run itself"),
        (["--compare", str(tmp_path)], "is not a proxysr run"),
    ):
        assert main([*words, *more]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in said
