from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cluster.logged import Recalled, inquiry_of, remembered
from octelium.http.h1.requests import parse_request
from octelium.http.message import MessageError
from octelium.http.section import parse_section
from octelium.http.target import normalise
from octelium.octovigil.inquiry import InquiryError
from octelium.octovigil.received import canonical_host
from octelium.octovigil.references import reference
from octelium.replica.replica import Replica
from octelium.vigil.context import HttpRequest
from octelium.visibility.batch import LONGEST_TARGET, decode, encode
from octelium.visibility.logged import LoggedRequest
from octelium.visibility.record import AuditSubject
from tests.octovigil.world import World, uid_of
from tests.visibility.samples import record

HOST = "wiki.default.example.com"


def logged(
    target: bytes = b"/a?b=1",
    *,
    mode: str = "HTTP",
    refs: dict[str, Any] | None = None,
    size: int = 0,
    referer: bytes = b"",
) -> LoggedRequest:
    subject = AuditSubject(mode, False, True, {}, **(refs or {}))
    made = record(1, subject)
    made.target, made.request_bytes, made.referer = target, size, referer
    made.host, made.client_address = b"wiki.example.com", "192.0.2.7"
    batch = decode(encode("abcdefgh", [made]))
    return LoggedRequest(batch, batch.rows[0])


def test_what_is_recalled_of_a_request() -> None:
    recalled = Recalled(logged(b"/a%20b?x=1&y=2&x=3", size=5), HOST, private=False)
    assert recalled.request == {
        "ip": "192.0.2.7",
        "http": {
            "method": "GET",
            "path": "/a b",
            "uri": "/a%20b?x=1&y=2&x=3",
            "host": HOST,
            "scheme": "https",
            "headers": {"host": "wiki.example.com", "user-agent": "curl"},
            "queryParams": {"x": "1", "y": "2"},
        },
    }
    assert recalled.unknown == {("http", "headers"), ("http", "size")}
    assert recalled.repeated == {("http", "queryParams", "x")}


def test_what_is_recalled_of_a_question() -> None:
    row = logged(b"a?b.local.", mode="DNS")
    shape = row.batch.shapes[row.row.shape]
    row.batch.texts[shape.method] = b"TYPE4711"
    recalled = Recalled(row, HOST, private=True)
    assert recalled.request == {"dns": {"name": "a?b.local.", "typeID": 4711}}
    assert not recalled.unknown
    assert not recalled.withheld


def test_what_is_recalled_of_a_call() -> None:
    recalled = Recalled(logged(b"/a.b.C/Get", mode="GRPC"), HOST, private=False)
    assert recalled.request is not None
    grpc = dict(recalled.request["grpc"])
    assert grpc.pop("http")["path"] == "/a.b.C/Get"
    assert grpc == {
        "serviceFullName": "a.b.C",
        "service": "C",
        "package": "a.b",
        "method": "Get",
    }
    assert recalled.unknown == {("grpc", "http", "headers")}


@pytest.mark.parametrize("mode", ["TCP", "SSH", "", "POSTGRES"])
def test_other_modes_have_no_request(mode: str) -> None:
    recalled = Recalled(logged(mode=mode), HOST, private=False)
    assert recalled.request is None
    assert recalled.unknown == recalled.repeated == frozenset()


@pytest.mark.parametrize(
    ("target", "unknown"),
    [
        (b"/" + b"a" * LONGEST_TARGET, {("http", "uri"), ("http", "path")}),
        (b"/a?b=" + b"a" * LONGEST_TARGET, {("http", "uri"), ("http", "queryParams")}),
        (b"/" + b"a" * (LONGEST_TARGET - 3) + b"%20", {("http", "uri"), ("http", "path")}),
    ],
)
def test_what_was_cut_off_is_not_known(target: bytes, unknown: set[tuple[str, str]]) -> None:
    recalled = Recalled(logged(target), HOST, private=False)
    assert recalled.unknown == {("http", "headers"), *unknown}


@pytest.mark.parametrize("prefix", [("http",), ("grpc", "http")])
def test_what_only_the_sender_may_see_is_not_known(prefix: tuple[str, ...]) -> None:
    mode = "HTTP" if len(prefix) == 1 else "GRPC"
    request = logged(b"/a.B/c?token=secret&token=b&x=%zz", mode=mode)
    recalled = Recalled(request, HOST, private=True)
    assert "secret" not in str(recalled.request)
    assert {(*prefix, "uri"), (*prefix, "queryParams")} <= recalled.unknown
    assert not recalled.repeated
    # Without a query nothing is private.
    bare = logged(b"/a.B/c", mode=mode)
    known, whole = (Recalled(bare, HOST, private=private) for private in (True, False))
    assert (known.request, known.unknown) == (whole.request, whole.unknown)


@pytest.mark.parametrize(
    ("referer", "private"),
    [
        (b"https://a.example/b", False),
        (b"https://a.example/b?c=secret", True),
        (b"https://a.example/b#secret", True),
        (b"https://secret@a.example/b", True),
    ],
)
def test_referring_pages_are_known_as_far_as_entries_show_them(
    referer: bytes, private: bool
) -> None:
    request = logged(b"/a", referer=referer)
    recalled = Recalled(request, HOST, private=True).request
    assert recalled is not None
    assert ("referer" in recalled["http"]["headers"]) is not private
    whole = Recalled(request, HOST, private=False).request
    assert whole is not None
    assert whole["http"]["headers"]["referer"] == referer.decode()


@given(
    path=st.text("/ab.%25;\\", max_size=8),
    query=st.none() | st.text("ab=&+%2;", max_size=8),
)
def test_a_request_is_recalled_as_it_was(path: str, query: str | None) -> None:
    target = f"/{path}" if query is None else f"/{path}?{query}"
    section = parse_section(b"Host: wiki.example.com\r\nUser-Agent: curl\r\n")
    try:
        head = parse_request(b"GET " + target.encode() + b" HTTP/1.1", section, b"https")
        parsed = normalise(head.target)
    except MessageError:
        return
    asked = HttpRequest(head, parsed, None, "192.0.2.7", HOST)
    recalled = Recalled(logged(parsed.wire), HOST, private=False)
    expected = asked.context()
    expected["http"]["headers"] = dict(expected["http"]["headers"])
    assert recalled.request == expected
    for name in ("path", "uri", "queryParams"):
        ambiguous = any(place[:2] == ("http", name) for place in recalled.repeated)
        assert ambiguous == asked.repeated(("http", name))


@given(target=st.binary(max_size=30))
def test_any_target_is_recalled(target: bytes) -> None:
    assert Recalled(logged(target), HOST, private=False).request is not None


# Who asked for what.


def refs(world: World) -> dict[str, Any]:
    replica = world.replica
    return {
        "service": reference(world.entry()),
        "session": reference(replica.sessions[uid_of("Session", "ann-1")]),
        "user": reference(replica.users_by_name["ann"]),
    }


def test_an_inquiry() -> None:
    world = World()
    inquiry, notes = inquiry_of(world.replica, logged(refs=refs(world)), private=False)
    assert (inquiry.service, inquiry.session) == ("wiki.default", uid_of("Session", "ann-1"))
    assert (inquiry.user, inquiry.at, inquiry.address) == ("", 100.0, "192.0.2.7")
    assert inquiry.request is not None
    assert inquiry.request["http"]["host"] == HOST
    assert notes == []
    assert inquiry_of(world.replica, logged(refs=refs(world)), at=5.0, private=False)[0].at == 5.0


def test_what_only_the_sender_may_see_is_said() -> None:
    world = World()
    asked = logged(b"/a?secret=1", refs=refs(world))
    _, notes = inquiry_of(world.replica, asked, private=True)
    assert notes == ["The query may hold secrets, and may be seen by the sender alone."]
    assert inquiry_of(world.replica, asked, private=False)[1] == []
    assert inquiry_of(world.replica, logged(b"/a", refs=refs(world)), private=True)[1] == []


def test_a_request_of_nobody() -> None:
    world = World()
    inquiry, _ = inquiry_of(
        world.replica, logged(refs={"service": refs(world)["service"]}), private=False
    )
    assert (inquiry.session, inquiry.user) == ("", "")


def test_a_renamed_service_is_found_by_its_uid() -> None:
    world = World()
    known = refs(world)
    known["service"] = {**known["service"], "name": "other.default"}
    assert inquiry_of(world.replica, logged(refs=known), private=False)[0].service == "wiki.default"


def test_a_session_that_is_gone() -> None:
    world = World()
    known = refs(world)
    world.remove("Session", "ann-1")
    inquiry, notes = inquiry_of(world.replica, logged(refs=known), private=False)
    assert (inquiry.session, inquiry.user) == ("", "ann")
    assert notes == ["The Session ann-1 is gone; a new one of the same User is supposed."]
    world.remove("User", "ann")
    with pytest.raises(InquiryError, match="the Session ann-1 and its User are gone"):
        inquiry_of(world.replica, logged(refs=known), private=False)


def test_a_service_that_is_gone() -> None:
    world = World()
    known = refs(world)
    world.remove("Service", "wiki.default")
    with pytest.raises(InquiryError, match=r"the Service wiki\.default is gone"):
        inquiry_of(world.replica, logged(refs=known), private=False)


def test_what_a_preview_gets() -> None:
    world = World()
    known = refs(world)
    request = remembered(world.replica, logged(b"/a?secret=1", refs=known))
    assert (request.id, request.at) == ("abcd-efgh-24-0000-0001", 100.0)
    assert request.service == known["service"]["uid"]
    assert (request.session, request.user) == (known["session"]["uid"], known["user"]["uid"])
    assert (request.method, request.path, request.address) == ("GET", "/a", "192.0.2.7")
    assert request.request is not None
    # Whoever makes a preview brings expressions along that could search in what is private.
    assert "secret" not in str(request)
    assert request.unknown == {("http", "headers"), ("http", "uri"), ("http", "queryParams")}
    nobody = remembered(Replica(), logged())
    assert (nobody.service, nobody.session, nobody.user) == ("", "", "")


def test_the_name_that_policies_know() -> None:
    assert canonical_host(World().replica, "wiki.default") == HOST
    assert canonical_host(Replica(), "wiki.prod") == "wiki.prod."
