from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client import callback as module
from octelium.client.callback import Callback
from octelium.client.errors import SettingsError
from tests.client.browsing import response, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

CHALLENGE = bytes(range(32))


@pytest.fixture(name="callback")
def callback_fixture() -> Iterator[Callback]:
    with Callback(CHALLENGE) as callback:
        yield callback


@pytest.fixture(name="pool")
def pool_fixture() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def path_of(callback: Callback, token: str = "T", challenge: bytes = CHALLENGE) -> str:
    return f"{callback.path}?octelium_response={response(token, challenge)}"


def has_ipv6() -> bool:
    try:
        with closing(socket.socket(socket.AF_INET6)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_port_and_path_are_as_clusters_want_them(callback: Callback) -> None:
    assert 10_000 <= callback.port <= 65_535
    assert len(callback.suffix) == 8
    assert callback.suffix.isalnum()
    with Callback(CHALLENGE) as other:
        assert (other.suffix, other.port) != (callback.suffix, callback.port)


@pytest.mark.parametrize("address", ["127.0.0.1", *(["::1"] if has_ipv6() else [])])
def test_the_browser_waits_and_goes_on(
    callback: Callback, pool: ThreadPoolExecutor, address: str
) -> None:
    visiting = pool.submit(visit, callback.port, path_of(callback), address=address)
    answer = callback.wait(60)
    assert answer is not None
    assert answer.token == "T"
    assert "token" not in repr(answer)
    assert not visiting.done()
    answer.succeeded("https://lab.test")
    seen = visiting.result(60)
    assert (seen.status, seen.headers["Location"]) == (302, "https://lab.test")
    assert seen.headers["Cache-Control"] == "no-store"


def test_the_browser_learns_of_a_failure(callback: Callback, pool: ThreadPoolExecutor) -> None:
    visiting = pool.submit(visit, callback.port, path_of(callback))
    answer = callback.wait(60)
    assert answer is not None
    answer.failed()
    seen = visiting.result(60)
    assert (seen.status, seen.headers["Location"]) == (502, None)


def test_only_the_first_answer_counts(callback: Callback, pool: ThreadPoolExecutor) -> None:
    pool.submit(visit, callback.port, path_of(callback, "first"))
    answer = callback.wait(60)
    assert answer is not None
    answer.succeeded("https://lab.test")
    assert visit(callback.port, path_of(callback, "second")).status == 400
    assert callback.wait(0.01) is None
    assert answer.token == "first"


def test_other_answers_are_refused_and_it_goes_on_waiting(callback: Callback) -> None:
    port, good = callback.port, path_of(callback)
    assert visit(port, callback.path).status == 400
    assert visit(port, f"{callback.path}?octelium_response=%00").status == 400
    assert visit(port, f"{good}&octelium_response=x").status == 400
    assert visit(port, path_of(callback, "")).status == 400
    assert visit(port, path_of(callback, challenge=b"")).status == 400
    assert visit(port, path_of(callback, challenge=bytes(32))).status == 400
    assert visit(port, good.replace("success/", "success/x")).status == 404
    assert visit(port, "/").status == 404
    assert visit(port, good, host="evil.test").status == 404
    assert visit(port, good, host=f"evil.test:{port}").status == 404
    for method in ("POST", "HEAD", "PUT", "OPTIONS"):
        assert visit(port, good, method).status == 405
    assert callback.wait(0.01) is None


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_no_text_is_mistaken_for_an_answer(text: str) -> None:
    callback = Callback.__new__(Callback)
    callback._challenge = CHALLENGE
    assert callback.take(text) is None
    assert callback.take(f"octelium_response={text}") is None


def test_a_connection_that_says_nothing_keeps_nobody_waiting(
    callback: Callback, pool: ThreadPoolExecutor
) -> None:
    with socket.create_connection(("127.0.0.1", callback.port), 60):
        visiting = pool.submit(visit, callback.port, path_of(callback))
        answer = callback.wait(60)
        assert answer is not None
        answer.succeeded("https://lab.test")
        assert visiting.result(60).status == 302


def test_nothing_listens_afterwards() -> None:
    with Callback(CHALLENGE) as callback:
        assert all(thread.is_alive() for thread in callback._threads)
    assert not any(thread.is_alive() for thread in callback._threads)
    # Not by a connection: the port may be somebody else's by now.
    assert all(server.fileno() == -1 for server in callback._servers)


def test_a_computer_without_such_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOWEST_PORT", 65_536)
    with pytest.raises(SettingsError, match="no port is free") as caught:
        Callback(CHALLENGE)
    assert "--device" in caught.value.remedy
