from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.admin import AdminError, install_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def control_process(data_dir: Path, status: int, reply: bytes) -> Iterator[list[Any]]:
    """The local administration socket of a Cluster, and the requests that it gets."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
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
        install_certificate(str(tmp_path), "prod", "CHAIN", "KEY")
    body = {"namespace": "prod", "certificate": "CHAIN", "key": "KEY"}
    assert asked == [("/certificate", body)]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(b'{"error": "expired"}', "expired"), (b"<html>", "<html>"), (b"", "no reason given")],
)
def test_a_refusal_is_told(tmp_path: Path, reply: bytes, reason: str) -> None:
    with (
        control_process(tmp_path, 400, reply),
        pytest.raises(AdminError, match=f"refused the certificate: {reason}"),
    ):
        install_certificate(str(tmp_path), "default", "CHAIN", "KEY")


def test_no_cluster_runs_there(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="no Cluster runs in") as caught:
        install_certificate(str(tmp_path), "default", "CHAIN", "KEY")
    assert "--data-dir" in caught.value.remedy
    (tmp_path / "run").mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "run" / "admin.sock"))
    left.close()
    with pytest.raises(AdminError, match="no Cluster runs in"):
        install_certificate(str(tmp_path), "default", "CHAIN", "KEY")


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
            install_certificate(str(tmp_path), "default", "CHAIN", "KEY")
        thread.join()
