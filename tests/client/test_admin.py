from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.admin import (
    AdminError,
    NewInvitation,
    NewToken,
    Probe,
    install_certificate,
    new_invitation,
    new_token,
    probe,
    use_own_certificate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def control_process(data_dir: Path, status: int, reply: bytes) -> Iterator[list[Any]]:
    """The local administration socket of a Cluster, and the requests that it gets."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.do_PUT()

        def do_PUT(self) -> None:
            length = int(self.headers["Content-Length"])
            asked.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_arguments: object) -> None:
            pass

        def address_string(self) -> str:
            return "local"

    (data_dir / "run").mkdir()
    with UnixStreamServer(str(data_dir / "run" / "admin.sock"), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield asked
        thread.join()


def test_the_pair_arrives(tmp_path: Path) -> None:
    with control_process(tmp_path, 200, b"{}") as asked:
        install_certificate(str(tmp_path), "lab.test", "prod", "CHAIN", "KEY", force=True)
    body = {
        "namespace": "prod",
        "certificate": "CHAIN",
        "key": "KEY",
        "domain": "lab.test",
        "force": True,
    }
    assert asked == [("/certificate", body)]


def test_the_clusters_own_certificate(tmp_path: Path) -> None:
    with control_process(tmp_path, 200, b"{}") as asked:
        use_own_certificate(str(tmp_path), "lab.test", "prod")
    body = {"namespace": "prod", "own": True, "domain": "lab.test"}
    assert asked == [("/certificate", body)]


def test_a_new_token(tmp_path: Path) -> None:
    reply = b'{"token": "T", "domain": "lab.test", "endpoint": "h:1", "ca": null}'
    with control_process(tmp_path, 200, reply) as asked:
        made = new_token(str(tmp_path))
    assert made == NewToken("T", "lab.test", "h:1", "")
    assert asked == [("/token", {})]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        b'{"token": "T"}',
        b'{"token": "", "domain": "", "endpoint": "", "ca": ""}',
        b'{"token": 1, "domain": "", "endpoint": "", "ca": ""}',
    ],
)
def test_an_answer_without_a_token(tmp_path: Path, reply: bytes) -> None:
    with (
        control_process(tmp_path, 200, reply),
        pytest.raises(AdminError, match="without a token"),
    ):
        new_token(str(tmp_path))


def test_an_invitation(tmp_path: Path) -> None:
    reply = b'{"url": "https://lab.test/invite#T", "expiresAt": 7, "user": "ann"}'
    with control_process(tmp_path, 200, reply) as asked:
        made = new_invitation(str(tmp_path), "ann", administrator=True)
    assert made == NewInvitation("https://lab.test/invite#T", 7, "ann")
    assert asked == [("/invitation", {"user": "ann", "administrator": True})]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        b'{"url": "https://lab.test/invite#T"}',
        b'{"url": "javascript:0", "expiresAt": 7, "user": "ann"}',
        b'{"url": "https://lab.test/", "expiresAt": "soon", "user": "ann"}',
        b'{"url": 7, "expiresAt": 7, "user": "ann"}',
    ],
)
def test_an_answer_without_an_invitation(tmp_path: Path, reply: bytes) -> None:
    with (
        control_process(tmp_path, 200, reply),
        pytest.raises(AdminError, match="without an invitation"),
    ):
        new_invitation(str(tmp_path), "ann")


def test_a_probe(tmp_path: Path) -> None:
    reply = b'{"url": "https://wiki.lab.test/", "status": 200, "milliseconds": 7}'
    with control_process(tmp_path, 200, reply) as asked:
        assert probe(str(tmp_path), "wiki") == Probe("https://wiki.lab.test/", 200, 7)
    assert asked == [("/probe", {"service": "wiki"})]


@pytest.mark.parametrize(
    "reply",
    [b"", b"[]", b'{"url": "u", "status": 200}', b'{"url": 7, "status": 200, "milliseconds": 7}'],
)
def test_an_answer_without_the_result_of_a_probe(tmp_path: Path, reply: bytes) -> None:
    with (
        control_process(tmp_path, 200, reply),
        pytest.raises(AdminError, match="without a result"),
    ):
        probe(str(tmp_path))


def test_no_first_administrator(tmp_path: Path) -> None:
    with (
        control_process(tmp_path, 404, b'{"error": "there is no User root"}'),
        pytest.raises(AdminError, match="refused a new token: there is no User root"),
    ):
        new_token(str(tmp_path))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(b'{"error": "expired"}', "expired"), (b"<html>", "<html>"), (b"", "no reason given")],
)
def test_a_refusal_is_told(tmp_path: Path, reply: bytes, reason: str) -> None:
    with (
        control_process(tmp_path, 400, reply),
        pytest.raises(AdminError, match=f"refused the certificate: {reason}"),
    ):
        install_certificate(str(tmp_path), "lab.test", "default", "CHAIN", "KEY", force=False)


def test_no_cluster_runs_there(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="no Cluster runs in") as caught:
        install_certificate(str(tmp_path), "lab.test", "default", "CHAIN", "KEY", force=False)
    assert "--data-dir" in caught.value.remedy
    (tmp_path / "run").mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "run" / "admin.sock"))
    left.close()
    with pytest.raises(AdminError, match="no Cluster runs in"):
        install_certificate(str(tmp_path), "lab.test", "default", "CHAIN", "KEY", force=False)


def test_something_else_answers(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "run" / "admin.sock"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(AdminError, match="did not answer"):
            install_certificate(str(tmp_path), "lab.test", "default", "CHAIN", "KEY", force=False)
        thread.join()
