from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.scopes import ApiCall, ScopeError, covers, describe_scopes, parse_scopes
from octelium.schema.pb import core_v1_pb2 as core

LIST_USER = ApiCall("octelium.api.main.core.v1", "MainService", "ListUser")
GET_STATUS = ApiCall("octelium.api.main.user.v1", "MainService", "GetStatus")
APPLY = ApiCall("octelium.ext.v1", "MainService", "Apply")
API = ("default.octelium-api", "octelium-api")
WIKI = ("wiki.default", "default")
TEAM = ("wiki.team", "team")


@pytest.mark.parametrize(
    ("scope", "service", "api", "expected"),
    [
        ("service:*", WIKI, None, True),
        ("service:*", API, LIST_USER, True),
        ("service:wiki", WIKI, None, True),
        ("service:wiki", TEAM, None, False),
        ("service:wiki.default", WIKI, None, True),
        ("service:wiki.team", TEAM, None, True),
        ("service:wiki.team", WIKI, None, False),
        ("service:wiki2", WIKI, None, False),
        ("service:team/*", TEAM, None, True),
        ("service:team/*", WIKI, None, False),
        ("service:default.octelium-api", API, LIST_USER, True),
        ("api:*", API, LIST_USER, True),
        ("api:*", WIKI, None, False),
        ("api:core", API, LIST_USER, True),
        ("api:core", API, GET_STATUS, False),
        ("api:core", API, None, False),
        ("api:core.MainService", API, LIST_USER, True),
        ("api:core.OtherService", API, LIST_USER, False),
        ("api:core.MainService/ListUser", API, LIST_USER, True),
        ("api:core.MainService/DeleteUser", API, LIST_USER, False),
        ("api:ext", API, APPLY, True),
        ("api:core", API, APPLY, False),
        ("api:*", API, APPLY, True),
    ],
)
def test_coverage(
    scope: str, service: tuple[str, str], api: ApiCall | None, expected: bool
) -> None:
    assert covers(parse_scopes([scope]), *service, api) is expected
    assert covers(parse_scopes(["service:zz", scope]), *service, api) is expected


def test_no_scope_that_fits_covers_nothing() -> None:
    assert not covers([], *WIKI)
    assert not covers([core.Scope()], *WIKI)
    assert not covers([core.Scope(service=core.ScopeService())], *WIKI)
    assert not covers([core.Scope(api=core.ScopeApi())], *API, LIST_USER)


def test_filters_may_hold_full_names() -> None:
    chosen = core.ScopeServiceFilter(names=["wiki.team"], namespaces=["*"])
    assert covers([core.Scope(service=core.ScopeService(filter=chosen))], *TEAM)
    assert not covers([core.Scope(service=core.ScopeService(filter=chosen))], *WIKI)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["*"],
        ["service"],
        ["service:"],
        ["service:*", "service:*"],
        [" service:*"],
        ["service:* "],
        ["service:wiki\n"],
        ["service:Wiki"],
        ["service:w"],
        ["service:wiki."],
        ["service:a.b.c"],
        ["service:wi--ki"],
        ["service:-wiki"],
        ["service:wiki-"],
        ["service:*/*"],
        ["service:*.team"],
        ["service:team/wiki"],
        ["service:" + "a" * 41],
        ["api:"],
        ["api:Core"],
        ["api:core."],
        ["api:core/ListUser"],
        ["api:core.MainService/"],
        ["api:core.MainService/*"],
        ["api:core.MainService/ListUser/x"],
        ["SERVICE:*"],
        ["service:wíki"],
        ["api:" + "a" * 300],
        [f"service:svc{number}" for number in range(129)],
    ],
)
def test_refused(texts: list[str]) -> None:
    with pytest.raises(ScopeError) as caught:
        parse_scopes(texts)
    assert str(caught.value)


def test_limits_are_inclusive() -> None:
    assert len(parse_scopes([f"service:svc{number}" for number in range(128)])) == 128
    assert parse_scopes(["api:" + "a" * 252])
    with pytest.raises(ScopeError):
        parse_scopes(["api:" + "a" * 253])


@pytest.mark.parametrize(
    "text",
    [
        "service:*",
        "service:wiki.default",
        "service:wiki.team",
        "service:team/*",
        "api:*",
        "api:core",
        "api:core.MainService",
        "api:core.MainService/ListUser",
        "api:ext.MainService/Apply",
    ],
)
def test_descriptions_are_what_was_parsed(text: str) -> None:
    assert describe_scopes(parse_scopes([text])) == [text]


def test_short_names_are_described_in_full() -> None:
    assert describe_scopes(parse_scopes(["service:wiki", "api:*"])) == [
        "service:wiki.default",
        "api:*",
    ]


def test_filters_of_many_parts_are_described_one_by_one() -> None:
    chosen = core.ScopeServiceFilter(names=["wiki", "*"], namespaces=["team", "*"])
    scope = core.Scope(service=core.ScopeService(filter=chosen))
    assert describe_scopes([scope]) == [
        "service:wiki.team",
        "service:wiki.*",
        "service:team/*",
        "service:*",
    ]


@given(st.lists(st.text(max_size=300), max_size=5))
def test_anything_is_parsed_or_refused(texts: list[str]) -> None:
    try:
        scopes = parse_scopes(texts)
    except ScopeError:
        return
    assert len(scopes) == len(texts)


PARTS = st.sampled_from(["service", "api", ":", "*", ".", "/", "wiki", "team", "core", "-", "Main"])


@given(st.lists(PARTS, max_size=8).map("".join))
def test_near_misses_are_parsed_or_refused(text: str) -> None:
    try:
        (scope,) = parse_scopes([text])
    except ScopeError:
        return
    assert scope.WhichOneof("type") == text.partition(":")[0]
    reparsed = core.Scope.FromString(scope.SerializeToString())
    assert covers([reparsed], *WIKI) == covers([scope], *WIKI)
