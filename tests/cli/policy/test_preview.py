from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cli import exits
from octelium.cli.policy import preview
from octelium.cli.policy.preview import changes_access, preview_lines
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import StandIn

A = ext.AccessVerdict__
GROUP = "kind: Group\nmetadata: {name: ops}\nspec: {}\n"


def access(
    user: str, verdict: ext.AccessVerdict__.AccessVerdict.ValueType, **more: Any
) -> ext.Access:
    return ext.Access(user=user, service="wiki.default", verdict=verdict, **more)


CHANGES = ext.PreviewAccessResponse(
    changes=[
        ext.AccessChange(
            before=access("ann", A.REFUSED, why="no rule allows it"),
            after=access("ann", A.ALLOWED, why="Policy ops, rule 0"),
        ),
        ext.AccessChange(before=access("robert", A.ALLOWED, why="Policy old, rule 0")),
        ext.AccessChange(
            before=access("zoe", A.DEPENDS, depends_on=["ctx.a"]),
            after=access("zoe", A.DEPENDS, why="w\x1b", depends_on=["ctx.b", "ctx.c"]),
        ),
    ],
    logged=[
        ext.LoggedChange(
            id="7", count=12, user="ann", service="wiki.default", method="GET", path="/x",
            allowed_after=True, why="Policy ops, rule 0",
        ),
        ext.LoggedChange(id="8", count=1, service="db.default", allowed_before=True, why="no rule"),
    ],
    pairs=30,
    logged_requests=1000,
    undecided=5,
    notes=["It is a guess."],
)  # fmt: skip
NONE = ext.PreviewAccessResponse(pairs=30, logged_requests=9)


def plain(text: str, *_: str) -> str:
    return text


def test_what_changes() -> None:
    assert preview_lines(CHANGES, plain, None) == [
        "Access that changes (3 of 30 pairs)",
        "+ ann     wiki.default  refused → allowed",
        "    Policy ops, rule 0",
        "- robert  wiki.default  allowed → none",
        "    Policy old, rule 0",
        "~ zoe     wiki.default  depends → depends",
        "    w\\x1b",
        "    before, if ctx.a",
        "    after, if ctx.b",
        "    and ctx.c",
        "",
        "Logged requests decided otherwise (13 of 1000)",
        "+ ann  wiki.default  GET /x (12 times)",
        "    would be allowed: Policy ops, rule 0",
        "- anonymous  db.default  a stream",
        "    would be refused: no rule",
        "5 more may be decided otherwise, by what the log lacks.",
        "",
        "It is a guess.",
    ]
    assert changes_access(CHANGES)


def lines_of(*changes: ext.AccessChange, columns: int | None = None) -> list[str]:
    return preview_lines(ext.PreviewAccessResponse(changes=changes), plain, columns)[1:]


def test_equal_changes_stand_together() -> None:
    def one(user: str, service: str, why: str = "Policy ops, rule 1") -> ext.AccessChange:
        before = ext.Access(user=user, service=service, verdict=A.REFUSED, why="nothing")
        after = ext.Access(
            user=user, service=service, verdict=A.DEPENDS, why=why, depends_on=["ctx.a"]
        )
        return ext.AccessChange(before=before, after=after)

    changes = [one(user, service) for user in ("ann", "bob", "eve") for service in ("db", "wiki")]
    changes[2].after.depends_on.append("ctx.b")
    assert lines_of(*changes) == [
        "+ ann, eve  db, wiki  refused → depends",
        "+ bob  wiki  refused → depends",
        "    Policy ops, rule 1",
        "    after, if ctx.a",
        "+ bob  db    refused → depends",
        "    Policy ops, rule 1",
        "    after, if ctx.a",
        "    and ctx.b",
    ]
    many = [one(f"user-{number}", "wiki") for number in range(30)]
    told = lines_of(*many, columns=60)
    assert max(map(len, told)) <= 60
    assert all(f"user-{number}" in " ".join(told) for number in range(30))


def test_who_becomes_an_administrator_stands_first() -> None:
    def api(user: str, after: ext.AccessVerdict__.AccessVerdict.ValueType) -> ext.AccessChange:
        service = "default.octelium-api"
        return ext.AccessChange(
            before=ext.Access(user=user, service=service, verdict=A.DEPENDS),
            after=ext.Access(user=user, service=service, verdict=after),
        )

    other = ext.AccessChange(before=access("ann", A.REFUSED), after=access("ann", A.ALLOWED))
    changes = [other, api("ann", A.ALLOWED), api("bob", A.DEPENDS), api("eve", A.REFUSED)]
    told = lines_of(*changes)
    assert told[:2] == [
        "! ann may administer the Cluster then",
        "+ ann  default.octelium-api  depends → allowed",
    ]
    assert told[2] == "+ ann  wiki.default          refused → allowed"
    assert [line for line in told[3:] if line[:1] in "+-~"] == [
        "~ bob  default.octelium-api  depends → depends",
        "- eve  default.octelium-api  depends → refused",
    ]
    assert not any(line.startswith("!") for line in told[1:])


def test_nothing_changes() -> None:
    assert preview_lines(NONE, plain, None) == [
        "Access that changes (0 of 30 pairs)",
        "  none",
        "",
        "Logged requests decided otherwise (0 of 9)",
        "  none",
    ]
    assert not changes_access(NONE)
    assert preview_lines(ext.PreviewAccessResponse(pairs=1), plain, None)[2:] == []


def test_colours_carry_no_meaning_of_their_own() -> None:
    lines = preview_lines(CHANGES, lambda text, *styles: f"<{','.join(styles)}>{text}", None)
    assert lines[1].startswith("<green>+ ann ")
    assert lines[3].startswith("<red>- robert ")
    assert lines[5].startswith("<yellow>~ zoe ")


def test_it_fits_on_a_terminal() -> None:
    why = "because of this and that, " * 9
    change = ext.AccessChange(
        after=access("ann", A.DEPENDS, why=why, depends_on=["ctx.a || " * 20])
    )
    lines = preview_lines(ext.PreviewAccessResponse(changes=[change], notes=[why]), plain, 60)
    assert max(map(len, lines)) <= 60
    assert len(lines) > 9


def test_diff_with_access(cluster: StandIn, terminal: Runner) -> None:
    cluster.insight["PreviewAccess"] = CHANGES
    result = terminal.ctl("diff", "--access", "--logged", "7", "-", stdin=GROUP)
    assert (result.code, result.err) == (exits.DIFFERENT, "")
    assert "+kind: Group\n" in result.out
    assert "\n\nAccess that changes (3 of 30 pairs)\n+ ann " in result.out
    request = cluster.calls[-1].request
    assert (request.logged_requests, request.apply.dry_run) == (7, True)
    assert cluster.objects == {}


def test_diff_where_the_cluster_cannot_say(cluster: StandIn, terminal: Runner) -> None:
    result = terminal.ctl("diff", "--access", "-", stdin=GROUP)
    assert (result.code, result.out) == (exits.UNKNOWN, "")
    assert "does not explain its decisions" in result.err


def applied(cluster: StandIn) -> bool:
    return ("Group", "ops") in cluster.objects


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "g.yaml").write_text(GROUP)
    return "g.yaml"


def test_apply_shows_it_first(cluster: StandIn, terminal: Runner, file: str) -> None:
    cluster.insight["PreviewAccess"] = CHANGES
    out = terminal.works("apply", "--preview-access", "--yes", file)
    before, _, after = out.partition("It is a guess.\n\n")
    assert before.startswith("Access that changes")
    assert after.startswith("Group: ops Created\n")
    assert cluster.methods()[-2:] == ["PreviewAccess", "Apply"]
    assert cluster.calls[-2].request.logged_requests == 1000


def test_apply_to_programs(cluster: StandIn, terminal: Runner, file: str) -> None:
    cluster.insight["PreviewAccess"] = CHANGES
    result = terminal.ctl("apply", "--preview-access", "-y", "-o", "name", file)
    assert (result.code, result.out) == (0, "group/ops\n")
    assert "Access that changes" in result.err


def test_where_nobody_can_answer(cluster: StandIn, terminal: Runner, file: str) -> None:
    cluster.insight["PreviewAccess"] = CHANGES
    result = terminal.ctl("apply", "--preview-access", file)
    assert result.code == exits.USAGE
    assert result.out.startswith("Access that changes")
    assert "--yes" in result.err
    assert not applied(cluster)
    assert "(dry run)" in terminal.works("apply", "--preview-access", "--dry-run", file)
    assert not applied(cluster)


@pytest.mark.parametrize(("answer", "expected"), [("y", True), ("n", False), ("", False)])
def test_the_question(
    answer: str,
    expected: bool,
    cluster: StandIn,
    terminal: Runner,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.insight["PreviewAccess"] = CHANGES
    monkeypatch.setattr(preview, "can_ask", lambda: True)
    result = terminal.ctl("apply", "--preview-access", file, stdin=f"{answer}\n")
    assert "Apply this? [y/N]" in result.err
    assert applied(cluster) is expected
    assert result.code == (exits.OK if expected else exits.FAILED)
    assert ("Nothing was applied." in result.err) is not expected


def test_nobody_is_needed_if_access_stays_as_it_is(
    cluster: StandIn, terminal: Runner, file: str
) -> None:
    cluster.insight["PreviewAccess"] = NONE
    assert "Created" in terminal.works("apply", "--preview-access", file)
    assert applied(cluster)


def test_what_may_change_is_asked_about(cluster: StandIn, terminal: Runner, file: str) -> None:
    cluster.insight["PreviewAccess"] = ext.PreviewAccessResponse(pairs=1, undecided=1)
    assert terminal.ctl("apply", "--preview-access", file).code == exits.USAGE
    assert not applied(cluster)


def test_no_question_if_access_stays_as_it_is(
    cluster: StandIn, terminal: Runner, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.insight["PreviewAccess"] = NONE
    monkeypatch.setattr(preview, "can_ask", lambda: True)
    assert "Created" in terminal.works("apply", "--preview-access", file)


def test_a_preview_that_fails_stops_the_apply(
    cluster: StandIn, terminal: Runner, file: str
) -> None:
    errors = ext.ApplyErrors(
        errors=[ext.ApplyError(index=0, kind="Group", name="ops", path="spec", problem="is odd")]
    )
    trailers = {"octelium_apply_errors_bin": errors.SerializeToString()}
    cluster.failures["PreviewAccess"] = [RefusedError("INVALID_ARGUMENT", "refused", **trailers)]
    result = terminal.ctl("apply", "--preview-access", "--yes", file)
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "g.yaml:3 (document 1): Group ops: spec: is odd" in result.err
    assert not applied(cluster)


def test_somebody_is_there_at_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert not preview.can_ask()
    monkeypatch.setattr("sys.stdin", None)
    assert not preview.can_ask()
