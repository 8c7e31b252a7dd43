from __future__ import annotations

import io
import sys

import pytest

from octelium.cli.authlines import AttemptLines, cells
from octelium.cli.terminal import Terminal
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta


def attempt(**fields: object) -> ext.AuthenticationLogEntry:
    values = {"way": "identity provider", "outcome": "succeeded", **fields}
    references = {
        name: meta.ObjectReference(name=str(values.pop(name)))
        for name in ("user", "session", "credential", "identity_provider", "authenticator")
        if name in values
    }
    entry = ext.AuthenticationLogEntry(**values, **references)  # type: ignore[arg-type]  # any of its fields
    entry.at.FromSeconds(1_800_000_000)
    return entry


def test_columns() -> None:
    full = attempt(
        user="ann",
        identity_provider="okta",
        client_address="192.0.2.1",
        country="NL",
        identifier="a@b",
    )
    assert cells(full) == (
        "2027-01-15T08:00:00.000Z",
        "ann",
        "identity provider okta",
        "192.0.2.1 NL",
        "succeeded",
        "-",
    )


@pytest.mark.parametrize(
    ("fields", "who", "by"),
    [
        (
            {"identifier": "eve@evil.test", "identity_provider": "okta"},
            '"eve@evil.test"',
            "identity provider okta",
        ),
        ({"email": "eve@evil.test"}, '"eve@evil.test"', "identity provider"),
        ({}, "unknown", "identity provider"),
        (
            {"user": "ann", "way": "authenticator", "authenticator": "totp-1"},
            "ann",
            "authenticator totp-1",
        ),
        ({"user": "bot", "way": "client secret", "credential": "ci"}, "bot", "client secret ci"),
        (
            {"user": "bot", "way": "refresh token", "session": "bot-1", "outcome": "refused"},
            "bot",
            "refresh token bot-1",
        ),
    ],
)
def test_who_and_by_what(fields: dict[str, str], who: str, by: str) -> None:
    assert cells(attempt(**fields))[1:3] == (who, by)


def test_texts_of_strangers_are_inert() -> None:
    hostile = attempt(identifier="\x1b[31mann", reason="a\nb")
    shown = cells(hostile)
    assert "\x1b" not in shown[1]
    assert "\n" not in shown[5]


def test_lines_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    lines = AttemptLines(Terminal({}))
    head, first = lines.first([attempt(user="a-name-that-is-long", reason="why")])
    assert head.index("BY") == first.index("identity provider")
    assert first.endswith("why")
    assert lines.next(attempt(user="x")).index("identity") == head.index("BY")
    assert len(lines.first([])) == 1
