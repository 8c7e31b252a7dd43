from __future__ import annotations

import pytest

from octelium.policy.cel.environment import check
from octelium.policy.cel.functions import FUNCTIONS
from octelium.policy.lint.call import SIGNATURES
from octelium.policy.lint.inference import infer
from octelium.policy.shape.contexts import Context, Setting
from octelium.policy.shape.shape import Kind

SHAPE = Context(Setting.ACCESS).shape


def problems(text: str) -> list[tuple[str, str]]:
    return list(infer(check(text).root, SHAPE, has_attrs=True).problems)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("ctx.user.spec.groups.contains('ops')", "on a list", '"ops" in ctx.user.spec.groups'),
        ("ctx.service.spec.port.startsWith('8')", "on a number", "string(ctx.service.spec.port)"),
        ("ctx.user.spec.email.startsWith(ctx.service.spec.port)", "on a number", "string("),
        ("ctx.user.metadata.createdAt.getHours() > 3", "instant in a text", "timestamp(ctx.user"),
        ("time.isWeekday(ctx.user.metadata.createdAt)", "instant in a text", "timestamp("),
        ("timestamp(ctx.service.spec.port) < now()", "on a number", "int(ctx.service.spec.port)"),
        ("net.isIPInRange(ctx.service.spec.port, '10.0.0.0/8')", "net.isIPInRange()", "string("),
        ("ctx.user.spec.email.hasAny(['a'])", "hasAny() does not work on a text", ""),
        ("size(ctx.service.spec.port) > 1", "size() does not work on a number", ""),
        ("string(ctx.user) == 'a'", "string() does not work on an object", ""),
        ("json.parse(ctx.user).a == 1", "json.parse() does not work on an object", ""),
        ("int(ctx.user.spec.groups) == 1", "int() does not work on a list", ""),
        ("math.ceil(ctx.user.spec.email) == 1.0", "math.ceil() does not work on a text", ""),
        ("ctx.user.spec.email.charAt(ctx.service.spec.port) == 'a'", "on a number", "int("),
    ],
)
def test_arguments_that_never_work(text: str, problem: str, remedy: str) -> None:
    [(found, advice)] = problems(text)
    assert "always fails" in found
    assert problem in found
    assert remedy in advice


@pytest.mark.parametrize(
    "text",
    [
        "ctx.user.spec.email.lowerAscii().endsWith('@example.com')",
        "ctx.user.spec.email.split('@')[1] == 'example.com'",
        "ctx.user.spec.groups.hasAny(['ops', 'dev']) && ctx.user.spec.groups.join(',') == 'a'",
        "net.isIPInRange(ctx.request.ip, '10.0.0.0/8')",
        "timestamp(ctx.user.metadata.createdAt).getHours('UTC') > 3",
        "time.isWeekday(now()) && now().getFullYear() == 2026",
        "int(ctx.service.spec.port) + 1 == 3 && string(ctx.service.spec.port) == '8080'",
        "base64.decode(ctx.request.http.body).size() > 3",
        "json.marshal(ctx.user).size() > 3 && ctx.user.spec.attrs.x.startsWith('a')",
        "[ctx.service.spec.port, 2.0].min() + 1.0 > 3.0",
        "math.round(ctx.service.spec.port / 2.0) > 3.0 && ctx.user.spec.email.matches('a.*')",
        "'%s' .format([ctx.user.spec.email]) == 'a' && bool(ctx.user.spec.email)",
    ],
)
def test_arguments_that_work(text: str) -> None:
    assert problems(text) == []


def test_every_signature_is_that_of_a_function() -> None:
    """No function is called with fewer arguments than are required, nor with more than are."""
    arities: dict[str, list[int]] = {}
    for name, arity in FUNCTIONS:
        arities.setdefault(name, []).append(arity)
    for name, (wanted, result) in SIGNATURES.items():
        assert name in arities, name
        assert max(arities[name]) <= len(wanted) or name == "replace", name
        assert result.kind in Kind
