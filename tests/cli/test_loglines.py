from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from octelium.cli.formats import json_line
from octelium.cli.loglines import JsonLines, TextLines, cells, why
from octelium.cli.terminal import Terminal
from octelium.client.accesslog import Entry
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

NAMED = {"policyMatch": {"policy": {"policyRef": {"name": "staff"}}, "ruleName": "mail"}}
INLINE = {
    "policyMatch": {
        "inlinePolicy": {"resourceRef": {"kind": "Service", "name": "wiki.default"}, "name": "own"}
    }
}


def entry(
    *,
    status: str = "ALLOWED",
    user: str = "ann",
    reason: str = "POLICY_MATCH",
    details: dict[str, Any] | None = None,
    info: dict[str, Any] | None = None,
    error: str = "",
    **common: Any,
) -> Entry:
    http = {"request": {"method": "GET", "path": "/a", "uri": "/a"}, "response": {"code": 200}}
    value = {
        "kind": "AccessLog",
        "metadata": {"id": "id-1"},
        "entry": {
            "common": {
                "startedAt": "2027-01-15T08:00:00.250Z",
                "status": status,
                "reason": {"type": reason, "details": details or {}},
                "userRef": {"name": user},
                "serviceRef": {"name": "wiki.default"},
                **common,
            },
            "info": info or {"http": http},
        },
    }
    return Entry(from_json(core.AccessLog, value), error)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"details": NAMED}, "policy staff, rule mail"),
        ({"details": INLINE}, "inline policy own of Service wiki.default"),
        ({"reason": "NO_POLICY_MATCH"}, "no policy match"),
        (
            {
                "reason": "SESSION_NOT_ACTIVE",
                "details": {"sessionNotActive": {"state": "PENDING"}},
            },
            "session not active (pending)",
        ),
        ({"reason": "TYPE_UNKNOWN_REASON"}, ""),
        ({"reason": "TYPE_UNKNOWN_REASON", "isAnonymous": True}, "open to everybody"),
        ({"reason": "TYPE_UNKNOWN_REASON", "status": "DENIED"}, "not signed in"),
        (
            {"reason": "TYPE_UNKNOWN_REASON", "status": "DENIED", "error": "no such Secret"},
            "not signed in; no such Secret",
        ),
        (
            {
                "reason": "TYPE_UNKNOWN_REASON",
                "status": "DENIED",
                "sessionRef": {"name": "ann-1"},
                "error": "division by zero",
            },
            "division by zero",
        ),
        ({"details": NAMED, "error": "timed out"}, "policy staff, rule mail; timed out"),
    ],
)
def test_why(changes: dict[str, Any], text: str) -> None:
    assert why(entry(**changes)) == text


def test_the_columns() -> None:
    assert cells(entry(details=NAMED)) == (
        "2027-01-15T08:00:00.250Z",
        "ann",
        "wiki.default",
        "GET /a",
        "200",
        "allowed",
        "policy staff, rule mail",
    )


def test_other_modes() -> None:
    grpc: dict[str, Any] = {"grpc": {"serviceFullName": "a.v1.B", "method": "C", "http": {}}}
    assert cells(entry(info=grpc))[3:5] == ("a.v1.B/C", "-")
    grpc["grpc"]["status"] = 7
    assert cells(entry(info=grpc))[4] == "grpc:7"
    assert cells(entry(info={"tcp": {"type": "START"}}))[3] == "TCP"
    asked = {"type": "AAAA", "typeID": 28, "name": "wiki.local.", "rcode": 3}
    assert cells(entry(info={"dns": asked}))[3:5] == ("AAAA wiki.local.", "NXDOMAIN")
    asked = {"type": "TYPE_OTHER", "typeID": 65, "name": "x.", "rcode": 16}
    assert cells(entry(info={"dns": asked}))[3:5] == ("HTTPS x.", "16")
    assert cells(Entry(core.AccessLog()))[3] == "-"


def test_who_is_not_known() -> None:
    assert cells(entry(user=""))[1] == "unknown"
    assert cells(entry(user="", isAnonymous=True))[1] == "anonymous"


def test_what_a_request_says_of_itself_does_nothing() -> None:
    request = {"method": "GET", "uri": "/\x1b[2J\r\n\u202e", "path": "/"}
    assert cells(entry(info={"http": {"request": request}}))[3] == "GET /\\x1b[2J\\r\\n\\u202e"


def test_columns_are_as_wide_as_the_first_entries_need() -> None:
    lines = TextLines(Terminal({}))
    long = entry(user="a-user-with-a-long-name", details=NAMED)
    first = lines.first([entry(details=NAMED), long])
    starts = {
        text.index(word) for text, word in zip(first, ("SERVICE", "wiki", "wiki"), strict=True)
    }
    assert len(starts) == 1
    assert lines.next(entry(details=NAMED)) == first[1]
    assert TextLines(Terminal({})).first([])[0].split() == [
        "TIME", "WHO", "SERVICE", "REQUEST", "STATUS", "DECISION", "WHY",
    ]  # fmt: skip


def test_ids_stand_first() -> None:
    lines = TextLines(Terminal({}), ids=True)
    head, first = lines.first([entry()])
    assert head.split()[:2] == ["ID", "TIME"]
    assert first.split()[0] == "id-1"
    assert head.index("TIME") == first.index("2027") == 24
    assert lines.next(entry()) == first


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("COLUMNS", "140")
    return Terminal({})


def test_lines_fit_on_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    uri = "/a" * 100
    request = {"request": {"method": "GET", "uri": uri}, "response": {"code": 200}}
    long = entry(details=NAMED, info={"http": request})
    _, first = TextLines(screen).first([long])
    assert len(first) == 140
    assert "GET /a/a" in first
    assert "…  200  " in first
    assert first.endswith("policy staff, rule mail")
    monkeypatch.setenv("COLUMNS", "160")
    _, wide = TextLines(screen, ids=True).first([long])
    assert len(wide) == 160
    monkeypatch.setenv("COLUMNS", "140")
    lines = TextLines(screen)
    lines.first([])
    assert "…  200" in lines.next(long)


def test_what_went_wrong_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    broken = {"request": {"method": "GET", "uri": "/"}, "response": {"code": 502}}
    lines = TextLines(screen)
    assert lines.next(entry(status="DENIED")).startswith("\x1b[31m")
    assert lines.next(entry(info={"http": broken})).startswith("\x1b[33m")
    assert not lines.next(entry()).startswith("\x1b")


def test_json_lines_are_the_official_form() -> None:
    lines = JsonLines(json_line)
    (text,) = lines.first([entry(details=NAMED)])
    assert from_json(core.AccessLog, json.loads(text)) == entry(details=NAMED).log
    assert "\n" not in text
