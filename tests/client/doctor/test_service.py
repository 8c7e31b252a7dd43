from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from octelium.client.doctor import service
from octelium.client.doctor.checks import Broken
from octelium.schema.modes import SERVED_MODES
from octelium.schema.pb import core_v1_pb2 as core
from tests.client.doctor.door import context, server, target
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.standin import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def own(status: int) -> bytes:
    """An answer of the Cluster's own."""
    return b"HTTP/1.1 %d X\r\nx-octelium-request-id: abc-1\r\nContent-Length: 0\r\n\r\n" % status


def asked(answer: bytes) -> str:
    with server(None, answer) as port:
        return service.request("wiki.default", "wiki.local.lab.test", ("127.0.0.1", port), None)


def broken(answer: bytes) -> Broken:
    with pytest.raises(Broken) as caught:
        asked(answer)
    assert caught.value.remedy
    return caught.value


def test_an_answer() -> None:
    assert asked(OK).startswith("GET / is answered with 200 in ")
    # What the upstream refuses itself has come through.
    assert "403" in asked(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n")
    assert "502" in asked(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("status", [401, 403])
def test_a_policy_that_refuses(status: int) -> None:
    found = broken(own(status))
    assert "the Policies refuse wiki.default" in found.detail
    assert found.remedy == "octeliumctl policy explain --log abc-1 tells which one"


def test_a_public_service_may_ask_for_a_login(tmp_path: Path, authority: Authority) -> None:
    made = context(tmp_path, authority, "wiki.lab.test")

    def ask(answer: bytes) -> str:
        with server(made, answer) as port:
            place, trusted = ("127.0.0.1", port), target(port, authority)
            return service.request("wiki", "wiki.lab.test", place, trusted, is_public=True)

    assert ask(own(401)).startswith("https://wiki.lab.test answers in ")
    assert ask(own(401)).endswith(", and asks for a login")
    assert "200" in ask(OK)
    for status in (403, 502):
        with pytest.raises(Broken):
            ask(own(status))


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_upstream_that_is_dead(status: int) -> None:
    found = broken(own(status))
    assert "the upstream of wiki.default does not answer" in found.detail
    assert "octeliumctl doctor wiki.default" in found.remedy


def test_another_answer_of_the_clusters_own() -> None:
    assert "octeliumctl logs --id abc-1" in broken(own(421)).remedy


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
def test_no_whole_answer(answer: bytes) -> None:
    assert "ends the connection without an answer" in broken(answer).detail


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = listening.getsockname()
        with pytest.raises(Broken) as caught:
            service.request("wiki.default", "wiki", place, None, seconds=0.05)
    assert "does not answer it within 0.05 s" in caught.value.detail


def test_a_service_that_speaks_tls(tmp_path: Path, authority: Authority) -> None:
    made = context(tmp_path, authority, "wiki.local.lab.test")
    with server(made, OK) as port:
        place = ("127.0.0.1", port)
        trusted = target(port, authority)
        name = "wiki.default"
        assert "200" in service.request(name, "wiki.local.lab.test", place, trusted)
        with pytest.raises(Broken) as caught:
            service.request(name, "other.local.lab.test", place, trusted)
    assert "TLS with wiki.default fails" in caught.value.detail


def test_connections() -> None:
    port = reserved_port()
    with socket.create_server(("127.0.0.1", port)):
        assert service.connect("db.default", ["127.0.0.2", "127.0.0.1"], port) == "127.0.0.1"
    with pytest.raises(Broken) as caught:
        service.connect("db.default", ["127.0.0.1"], port)
    assert caught.value.detail == (
        f"no connection to db.default: 127.0.0.1 port {port}: Connection refused"
    )


def test_streams_that_stay_and_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("127.0.0.1", reserved_port())
    with socket.create_server(place), monkeypatch.context() as patch:
        patch.setattr(service, "_HELLO", 0.05)
        assert service.talk("db.default", place) == "a connection is taken, and stays"
    with server(None, b"") as port, pytest.raises(Broken) as caught:
        service.talk("db.default", ("127.0.0.1", port))
    assert "db.default ends connections at once" in caught.value.detail
    assert "octeliumctl doctor db.default" in caught.value.remedy
    with pytest.raises(Broken):
        service.talk("db.default", place)


def test_a_stream_that_greets() -> None:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            one, _ = listening.accept()
            with one:
                one.sendall(b"220 welcome\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        assert service.talk("mail.default", listening.getsockname()) == (
            "a connection is taken, and greeted"
        )
        thread.join(60)


def test_modes_that_are_served_need_no_word() -> None:
    modes = core.ServiceSpecMode__
    for mode in SERVED_MODES:
        assert service.unserved(mode) == ""
    assert service.unserved(modes.SSH).startswith("of mode SSH, ")
    assert service.unserved(99).startswith("of mode 99, ")
