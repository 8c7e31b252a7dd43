from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.lint.conditions import lint_condition, lint_value, outcome_of
from octelium.policy.shape.contexts import Attachment, Context, Setting
from octelium.policy.shape.shape import Kind
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

MODE = core.ServiceSpecMode__
ANYWHERE = Context(Setting.ACCESS, has_attrs=True)
WEB = 'ctx.request.http.path.startsWith("/admin")'
SHELL = 'ctx.request.ssh.connect.user == "root"'
STAFF = 'ctx.user.spec.email.endsWith("@example.com")'


def at(*modes: int, anonymous: bool = False) -> Context:
    attachments = frozenset(Attachment(mode, anonymous=anonymous) for mode in modes)
    return Context(Setting.ACCESS, attachments, has_attrs=True)


def look(form: dict[str, Any], context: Context = ANYWHERE) -> list[tuple[str, str]]:
    found = lint_condition(from_json(core.Condition, form), context, "c")
    return [(finding.path, finding.problem) for finding in found]


def any_of(*texts: str) -> dict[str, Any]:
    return {"any": {"of": [{"match": text} for text in texts]}}


def test_findings_have_the_place_of_their_expression() -> None:
    form = {"all": {"of": [{"matchAny": True}, {"none": {"of": [{"not": "ctx.usr.a == 1"}]}}]}}
    assert look(form) == [("c.all.of[1].none.of[0].not", "`ctx` has no member 'usr'")]


def test_what_is_right_has_no_findings() -> None:
    for form in ({"matchAny": False}, {"match": WEB}, {"not": STAFF}, any_of(WEB, SHELL)):
        for context in (ANYWHERE, at(MODE.HTTP, MODE.SSH)):
            assert look(form, context) == []
    assert look({}) == []
    assert look({"match": "ctx. ="}) == []  # validation refuses it
    assert look({"opa": {"inline": "package octelium.condition"}}, at(MODE.TCP)) == []


@pytest.mark.parametrize(
    ("form", "modes"),
    [
        ({"match": WEB}, [MODE.SSH]),
        ({"match": WEB}, [MODE.TCP]),
        ({"match": WEB}, [MODE.TCP, MODE.GRPC]),
        ({"match": SHELL}, [MODE.HTTP]),
        ({"match": f"has(ctx.request.http) && {WEB}"}, [MODE.SSH]),
        ({"match": f"{STAFF} && {WEB}"}, [MODE.SSH]),
        ({"match": 'net.isIPInRange(ctx.request.ip, "10.0.0.0/8")'}, [MODE.SSH]),
        ({"all": {"of": [{"match": STAFF}, {"match": WEB}]}}, [MODE.SSH]),
        (any_of(WEB, "ctx.request.grpc.method == 'a'"), [MODE.SSH]),
        ({"none": {"of": [{"not": WEB}]}}, [MODE.SSH]),
    ],
)
def test_what_can_never_be_true(form: dict[str, Any], modes: list[int]) -> None:
    [(path, problem)] = look(form, at(*modes))
    assert path == "c"
    assert problem.startswith("this can never be true where it is attached (mode ")
    assert "only requests of mode" in problem
    assert look(form) == []


@pytest.mark.parametrize(
    ("form", "context"),
    [
        ({"match": WEB}, at(MODE.SSH, MODE.HTTP)),
        (any_of(WEB, SHELL), at(MODE.SSH)),
        (any_of(WEB, STAFF), at(MODE.TCP)),
        ({"match": f"{WEB} || {STAFF}"}, at(MODE.SSH)),
        ({"match": f"has(ctx.request.http) ? {WEB} : {STAFF}"}, at(MODE.SSH)),
        ({"none": {"of": [{"match": WEB}, {"match": STAFF}]}}, at(MODE.SSH)),
        ({"match": "attrs.x == ctx.user.spec.attrs.y"}, at(MODE.SSH)),
        ({"match": "json.marshal(ctx).size() > 3"}, at(MODE.SSH)),
        ({"matchAny": False}, at(MODE.SSH)),
        ({"all": {"of": [{"matchAny": False}, {"match": WEB}]}}, at(MODE.SSH)),
    ],
)
def test_what_may_be_true(form: dict[str, Any], context: Context) -> None:
    assert look(form, context) == []


def test_what_is_always_true() -> None:
    for form in ({"not": WEB}, {"none": {"of": [{"match": WEB}]}}):
        [(path, problem)] = look(form, at(MODE.SSH))
        assert (path, problem.partition(" where")[0]) == ("c", "this is always true")
        assert look(form, at(MODE.HTTP)) == []


def test_typos_are_found_whatever_the_mode() -> None:
    form = {"match": "ctx.request.http.pth == '/'"}
    for context in (ANYWHERE, at(MODE.SSH)):
        assert look(form, context) == [("c.match", "`ctx.request.http` has no member 'pth'")]


def test_what_to_write_instead() -> None:
    [finding] = lint_condition(core.Condition(match=WEB), at(MODE.SSH, MODE.DNS), "c")
    assert finding.remedy == "such requests have ctx.request.dns or ctx.request.ssh"
    [finding] = lint_condition(core.Condition(match=WEB), at(MODE.TCP), "c")
    assert finding.remedy == ""
    assert "`ctx.request`: only requests of mode DNS, GRPC" in finding.problem


def test_anonymous_services() -> None:
    anonymous = at(MODE.HTTP, anonymous=True)
    [(_, problem)] = look({"match": STAFF}, anonymous)
    assert problem == (
        "this can never be true: `ctx.user`: an anonymous Service asks nobody who they are"
    )
    assert look({"match": WEB}, anonymous) == []
    assert look({"match": "'ops' in ctx.user.spec.groups"}, at(MODE.HTTP)) == []


def test_values() -> None:
    def values(text: str, context: Context, kind: Kind | None = Kind.STRING) -> list[str]:
        found = lint_value(text, context, "e", kind=kind, wanted="write string(...)")
        assert {finding.path for finding in found} <= {"e"}
        return [finding.problem for finding in found]

    assert values("ctx.user.spec.email", at(MODE.HTTP)) == []
    assert values("ctx.user.spec.attrs.team", at(MODE.HTTP)) == []
    assert values("ctx.user.spec.emial", at(MODE.HTTP)) == ["`ctx.user.spec` has no member 'emial'"]
    assert values("ctx.service.spec.port", at(MODE.HTTP)) == [
        "this results in a number, and a text is needed"
    ]
    assert values("ctx.service.spec.port", at(MODE.HTTP), None) == []
    [problem] = values("ctx.request.grpc.method", at(MODE.HTTP))
    assert problem.startswith("this never comes to a value where it is attached (mode HTTP): ")
    assert values("has(ctx.request.grpc) ? ctx.request.grpc.method : ''", at(MODE.HTTP)) == []
    assert values("ctx.", at(MODE.HTTP)) == []


def test_equal_questions_are_answered_once() -> None:
    first = outcome_of(WEB, ANYWHERE)
    assert outcome_of(WEB, Context(Setting.ACCESS, has_attrs=True)) is first
    assert outcome_of("ctx. =", ANYWHERE) is None


EXT = "ctx.session.status.ext"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'"ops" in {EXT}.identityProvider.group', "no member 'group'"),
        (f'{EXT}.identityProvider.groops.exists(g, g == "ops")', "no member 'groops'"),
        (f'"ops" in {EXT}.identityProvder.groups', "no member 'identityProvder'"),
        (f'"ops" in {EXT}["identityProvder"].groups', "no member 'identityProvder'"),
    ],
)
def test_misspelt_members_of_what_a_provider_told(text: str, problem: str) -> None:
    [(path, found)] = look({"match": text})
    assert (path, problem in found) == ("c.match", True)


@pytest.mark.parametrize(
    "text",
    [
        f'"ops" in {EXT}.identityProvider.groups',
        f'"ops" in {EXT}["identityProvider"].groups',
        f'{EXT}.identityProvider.name == "okta"',
        f"has({EXT}.identityProvider)",
        f"{EXT}.other.deep.a == 1",
        f'{EXT}["other"].a == "b"',
    ],
)
def test_members_of_ext_that_may_be_there(text: str) -> None:
    assert look({"match": text}) == []
