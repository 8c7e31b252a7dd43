from __future__ import annotations

import pytest

from octelium.policy.cel.environment import check
from octelium.policy.lint.inference import infer
from octelium.policy.lint.inferred import Can
from octelium.policy.shape.contexts import Context, Setting

SHAPE = Context(Setting.ACCESS).shape


def look(text: str) -> tuple[Can, list[tuple[str, str]]]:
    found = infer(check(text).root, SHAPE, has_attrs=True)
    return found.inferred.can, list(found.problems)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("ctx.user.spec.type == 'HUMNA'", 'is never "HUMNA"', 'did you mean "HUMAN"?'),
        ("'HUMNA' == ctx.user.spec.type", 'is never "HUMNA"', 'did you mean "HUMAN"?'),
        ("ctx.user.spec.type == 'human'", 'is never "human"', 'did you mean "HUMAN"?'),
        ("ctx.user.spec.type == 'ROBOT'", 'is never "ROBOT"', "one of HUMAN, WORKLOAD"),
        ("ctx.service.spec.mode == 'ZZZZ'", 'is never "ZZZZ"', ", ..."),
        ("ctx.user.spec.type in ['HUMAN', 'ROBOT']", 'is never "ROBOT"', "HUMAN, WORKLOAD"),
        ("ctx.user.spec.type != 'HUMNA'", 'is never "HUMNA"', "HUMAN"),
        ("ctx.user.spec.type == 'TYPE_UNKNOWN'", "absent instead", "!has(ctx.user.spec.type)"),
        ("ctx.service.spec.isPublic == false", "is never false", "!has(ctx.service.spec.isPublic)"),
        ("ctx['service'].spec.isPublic == false", "is never", "!has(ctx.service.spec.isPublic)"),
        ("ctx.service.spec.isPublic != true", "true or absent", "!has(ctx.service.spec.isPublic)"),
        ("!ctx.service.spec.isPublic", "true or absent", "!has(ctx.service.spec.isPublic)"),
        ("ctx.user.spec.email == ''", 'is never ""', "!has(ctx.user.spec.email)"),
        ("ctx.service.spec.port == 0", "is never 0", "!has(ctx.service.spec.port)"),
        ("ctx.groups == []", "is never []", "!has(ctx.groups)"),
        ("size(ctx.groups) == 0", "`ctx.groups` is absent", "!has(ctx.groups)"),
        ("0 == ctx.groups.size()", "`ctx.groups` is absent", "!has(ctx.groups)"),
        ("ctx.device == null", "is never null", "!has(ctx.device)"),
        ("ctx.user.spec.email == 1", "is a text and never equals an integer", ""),
        ("ctx.user.spec.email != true", "is a text and always differs from a boolean", ""),
        ("ctx.service.spec.port == '8080'", "is a number and never equals a text", ""),
        ("ctx.user.spec.groups == 'ops'", "is a list", 'write "ops" in ctx.user.spec.groups'),
        ("ctx.request.http.size == 12", "an integer in a text", "int(ctx.request.http.size)"),
        ("ctx.request.http.size in [1, 2]", "never equals an integer", "int("),
        ("now() == ctx.user.metadata.createdAt", "instant in a text", "timestamp(ctx.user"),
        ("ctx.request.http.body == b'a'", "base64 text", "base64.decode(ctx.request.http.body)"),
        ("ctx.user.spec == 'a'", "is an object and never equals a text", ""),
        ("1 in ctx.user.spec.groups", "holds texts, never an integer", ""),
        ("ctx.user in ctx.user.spec.groups", "holds texts, never an object", ""),
        ("'ops' in ctx.groups", "holds objects, never a text", ""),
        ("'a' in ctx.user.spec.email", "`in` needs a list or a map", ".contains("),
        ("ctx.user.spec.email in ctx.service.spec.port", "`in` needs a list or a map", ""),
    ],
)
def test_what_is_never_equal(text: str, problem: str, remedy: str) -> None:
    can, [(found, advice), *_] = look(text)
    assert problem in found
    assert remedy in advice
    assert not (can & Can.TRUE) or "!=" in text or " in [" in text


@pytest.mark.parametrize(
    "text",
    [
        "ctx.user.spec.type == 'HUMAN'",
        "ctx.user.spec.type != 'HUMAN'",
        "ctx.user.spec.type == ctx.user.spec.email",
        "ctx.user.spec.email != ''",
        "ctx.service.spec.isPublic == true",
        "ctx.service.spec.isPublic != false",
        "ctx.service.spec.port == 8080 || ctx.service.spec.port == 8080.0",
        "ctx.service.spec.port in [80, 443]",
        "ctx.device != null",
        "has(ctx.service.spec.isPublic) && ctx.service.spec.isPublic == false",
        "!has(ctx.service.spec.isPublic) || !ctx.service.spec.isPublic",
        "has(ctx.user.spec.email) ? ctx.user.spec.email == '' : true",
        "has(ctx.groups) && size(ctx.groups) == 0",
        "size(ctx.groups) != 0 && size(ctx.groups) > 0 && size(ctx.groups) == 1",
        "ctx.request.http.size == '12'",
        "ctx.request.http.path == ''",
        "ctx.user.metadata.createdAt == '2026-01-01T00:00:00Z'",
        "ctx.user.spec.email in ['a', ctx.user.metadata.name]",
        "ctx.user.spec.groups == ['a'] || 'a' in ctx.user.spec.groups",
        "'team' in ctx.user.metadata.labels && 'spec' in ctx.user",
        "ctx.user.spec.attrs.level == 0 && ctx.user.spec.attrs.flag == false",
        "ctx.user.spec.attrs.type == 'ROBOT' && 1 in ctx.user.spec.attrs.list",
        "!ctx.user.spec.attrs.flag",
        "ctx.user.metadata.labels.team == ''",
    ],
)
def test_what_may_be_equal(text: str) -> None:
    assert look(text)[1] == []


def test_names_in_lists_of_an_enum() -> None:
    """Lists of enums hold their zero as any other name."""
    [(problem, _)] = look("'OS_LINUX' in ctx.device.status.osType")[1]
    assert "`in` needs a list" in problem


def test_outcomes() -> None:
    assert look("ctx.user.spec.email != ''")[0] == Can.TRUE | Can.MISSING
    assert look("ctx.service.spec.isPublic == true")[0] == Can.TRUE | Can.MISSING
    assert look("ctx.user.spec.type in ['A', 'B']")[0] == Can.FALSE | Can.MISSING
    assert look("ctx.user.spec.type in ['A', ctx.x]")[0] & Can.MISSING
    assert look("ctx.user.spec.email == 1 || true")[0] == Can.TRUE | Can.MISSING
