from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.doctor import questions
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def server(answer: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """A name server on the loopback interface; its port."""

    def serve() -> None:
        while True:
            data, source = bound.recvfrom(65_535)
            if data == b"end":
                return
            for each in answer(data):
                bound.sendto(each, source)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"end", bound.getsockname())
            thread.join(60)
            assert not thread.is_alive()


def found(data: bytes) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(data))
    made.answer.append(dns.rrset.from_text("wiki.local.lab.test.", 60, "IN", "A", "100.64.0.9"))
    return made.to_wire()


def test_an_answer() -> None:
    with server(lambda data: [b"junk", found(data)]) as port:
        question = questions.question("wiki.local.lab.test", "A")
        answer = questions.ask("127.0.0.1", question, seconds=60, tries=1, port=port)
    assert answer is not None
    assert questions.addresses_in(answer) == ["100.64.0.9"]
    assert questions.code_of(answer) == "NOERROR"


def test_a_datagram_that_is_lost_is_sent_again() -> None:
    seen: list[bytes] = []

    def answer(data: bytes) -> list[bytes]:
        seen.append(data)
        return [found(data)] if len(seen) > 2 else []

    with server(answer) as port:
        question = questions.question("wiki.local.lab.test", "A")
        assert questions.ask("127.0.0.1", question, seconds=60, tries=6000, port=port) is not None


def test_no_answer() -> None:
    question = questions.question("wiki.local.lab.test", "A")
    with server(lambda _: []) as port:
        assert questions.ask("127.0.0.1", question, seconds=0.05, tries=1, port=port) is None
    other = questions.question("other.local.lab.test", "A")
    with server(lambda _: [found(other.to_wire())]) as port:
        assert questions.ask("127.0.0.1", question, seconds=0.05, tries=1, port=port) is None
    assert questions.ask("127.0.0.1", question, seconds=1, tries=2, port=1) is None  # refused


@given(st.integers(min_value=80, max_value=9000))
def test_questions_have_the_size_that_is_wanted(size: int) -> None:
    made = questions.question("local.lab.test", "SOA", size=size)
    assert len(made.to_wire(max_size=65_535)) == size


def test_the_way_to_an_address() -> None:
    assert questions.source_to("127.0.0.1") == "127.0.0.1"
    assert questions.path_mtu("127.0.0.1") >= 65_535
    assert questions.path_mtu("::1") >= 65_535
    with pytest.raises(OSError, match=r"Permission denied|unreachable"):
        questions.source_to("255.255.255.255")


def test_whether_somebody_takes_questions() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        port = reserved_port()
        bound.bind(("127.0.0.1", port))
        assert questions.listens("127.0.0.1", port=port)  # silence is no refusal
    assert not questions.listens("127.0.0.1", port=port)
    assert not questions.listens("no address", port=port)
