from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from octelium.cli.policy.accesses import (
    VERDICTS,
    is_system,
    plain_access,
    show_accesses,
    subject_of,
    verdict_of,
)
from octelium.cli.terminal import Terminal
from octelium.cluster.seeding import shipped_objects
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    import pytest

A = ext.AccessVerdict__
ACCESSES = [
    ext.Access(user="ann", service="wiki.default", verdict=A.ALLOWED, why="Policy ops, rule 0"),
    ext.Access(
        user="bob",
        service="wiki.default",
        verdict=A.DEPENDS,
        why="Policy ops, rule 1",
        depends_on=['ctx.request.http.method == "GET"', "x\x1b[31m"],
    ),
    ext.Access(user="a-long-name", service="db.default", verdict=A.REFUSED),
]


def shown(
    capsys: pytest.CaptureFixture[str], output: str = "table", *verdicts: str, subject: str = "user"
) -> str:
    show_accesses(Terminal({}), ACCESSES, subject, verdicts, output)
    return capsys.readouterr().out


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == (
        "USER         VERDICT  WHY\n"
        "ann          allowed  Policy ops, rule 0\n"
        "bob          depends  Policy ops, rule 1\n"
        '                      if ctx.request.http.method == "GET"\n'
        "                      and x\\x1b[31m\n"
        "a-long-name  refused  -\n"
    )
    assert shown(capsys, subject="service").startswith("SERVICE       VERDICT  WHY\nwiki.default  ")


def test_some_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "name", "allowed") == "user/ann\n"
    assert shown(capsys, "name", "allowed", "refused") == "user/ann\nuser/a-long-name\n"
    assert shown(capsys, "table", "unknown") == ""


def test_forms_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capsys, "json", "depends")) == [
        {
            "user": "bob",
            "service": "wiki.default",
            "verdict": "depends",
            "why": "Policy ops, rule 1",
            "dependsOn": ['ctx.request.http.method == "GET"', "x\x1b[31m"],
        }
    ]
    assert json.loads(shown(capsys, "json", "unknown")) == []
    assert shown(capsys, "yaml", "refused").startswith("- user: a-long-name\n")


def test_every_verdict_has_a_word() -> None:
    words = {verdict_of(ext.Access(verdict=value)) for value in A.AccessVerdict.values()}
    assert words == {*VERDICTS, "unknown"}


def test_existing_sessions() -> None:
    access = ext.Access(user="ann", session="ann-1", service="wiki.default")
    assert subject_of(access, "user") == "ann (Session ann-1)"
    assert plain_access(access)["session"] == "ann-1"


def test_a_user_with_several_sessions_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    again = ext.Access(user="ann", session="ann-1", service="wiki.default")
    show_accesses(Terminal({}), [ACCESSES[0], again], "user", (), "name")
    assert capsys.readouterr().out == "user/ann\n"


def test_services_of_the_cluster_stand_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    system = [
        ext.Access(user="ann", service=name, verdict=A.DEPENDS, why="long", depends_on=["ctx.a"])
        for name in ("auth.octelium-api", "portal.default")
    ]
    listed = [system[0], ACCESSES[0], system[1]]
    show_accesses(Terminal({}), listed, "service", (), "table", briefly=True)
    own, told = "wiki.default  allowed  Policy ops, rule 0", "auth.octelium-api depends, "
    assert capsys.readouterr().out.splitlines()[1:] == [
        own,
        f"The Cluster's own Services (--system tells why): {told}portal.default depends",
    ]
    show_accesses(Terminal({}), listed, "service", (), "name", briefly=True)
    assert capsys.readouterr().out.split() == [
        "service/auth.octelium-api", "service/wiki.default", "service/portal.default"
    ]  # fmt: skip


def test_the_services_of_the_cluster_are_known() -> None:
    shipped: Any = [one for one in shipped_objects() if type(one).__name__ == "Service"]
    assert any(one.metadata.is_system for one in shipped)
    for one in shipped:
        assert is_system(one.metadata.name) is one.metadata.is_system, one.metadata.name


class Screen(Terminal):
    """A terminal of 60 columns."""

    def columns(self) -> int | None:
        return 60


def test_a_table_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    access = ext.Access(user="ann", verdict=A.DEPENDS, why="w " * 60, depends_on=["ctx.a || " * 9])
    show_accesses(Screen({}), [access], "user", (), "table")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert len(lines) > 5
    assert all(line.startswith(" " * 15) for line in lines[2:])


def test_reasons_stand_below_long_names(capsys: pytest.CaptureFixture[str]) -> None:
    access = ext.Access(user="a" * 30, verdict=A.DEPENDS, why="because", depends_on=["ctx.a"])
    show_accesses(Screen({}), [access], "user", (), "table")
    assert capsys.readouterr().out.splitlines() == [
        f"{'USER':30}  VERDICT",
        f"{'a' * 30}  depends",
        "    because",
        "    if ctx.a",
    ]


def test_what_another_server_says_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    long = ext.Access(user="x" * 100_000, service="s", verdict=A.ALLOWED, why="w")
    strange = ext.Access(user="u", service="s")
    strange.MergeFromString(b"\x18\x7f")
    many = [long, *([strange] * 1000)]
    assert verdict_of(strange) == "unknown"
    show_accesses(Terminal({}), many, "user", (), "table")
    assert len(capsys.readouterr().out) < 500_000
