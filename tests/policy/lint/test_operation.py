from __future__ import annotations

import pytest

from octelium.policy.cel.environment import check
from octelium.policy.lint.inference import infer
from octelium.policy.shape.contexts import Context, Setting

SHAPE = Context(Setting.ACCESS).shape


def problems(text: str) -> list[tuple[str, str]]:
    return list(infer(check(text).root, SHAPE, has_attrs=True).problems)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("ctx.service.spec.port + 1 > 3", "`ctx.service.spec.port + 1` always fails", "write 1.0"),
        ("8000 - ctx.service.spec.port > 3", "always fails", "write 8000.0"),
        ("ctx.service.spec.port * size('ab') > 3", "always fails", 'write double(size("ab"))'),
        ("ctx.service.spec.port % 2 == 0", "always fails", "write int(ctx.service.spec.port)"),
        ("'port ' + ctx.service.spec.port == 'a'", "fails", "write string(ctx.service.spec.port)"),
        ("ctx.user.spec.email + 1 == 3", "a text and an integer", ""),
        ("ctx.user.spec.groups + 'a' == 'b'", "a list and a text", ""),
        ("ctx.request.http.size > 100", "an integer in a text", "write int(ctx.request.http.size)"),
        ("100 < ctx.request.http.size", "an integer in a text", "write int(ctx.request.http.size)"),
        ("ctx.request.http.size > '100'", "ordered by their characters", "write int("),
        ("ctx.session.spec.expiresAt < now()", "always fails", "write timestamp(ctx.session"),
        ("now() - ctx.user.metadata.createdAt > duration('1h')", "fails", "write timestamp("),
        (
            "ctx.session.spec.expiresAt < '2030-01-01T00:00:00Z'",
            "ordered by their characters",
            "write timestamp(ctx.session.spec.expiresAt)",
        ),
        ("ctx.user.spec.email > 3", "`>` does not work on a text and an integer", ""),
        ("ctx.user.spec <= ctx.user.spec", "does not work on an object and an object", ""),
    ],
)
def test_operands_that_do_not_go_together(text: str, problem: str, remedy: str) -> None:
    [(found, advice), *_] = problems(text)
    assert problem in found
    assert remedy in advice


@pytest.mark.parametrize(
    "text",
    [
        "ctx.service.spec.port + 1.0 > 3.0",
        "ctx.service.spec.port >= 1024 && ctx.service.spec.port < 65536.0",
        "int(ctx.service.spec.port) % 2 == 0",
        "int(ctx.request.http.size) > 100",
        "timestamp(ctx.session.spec.expiresAt) - now() < duration('1h')",
        "timestamp(ctx.session.spec.expiresAt) < timestamp('2030-01-01T00:00:00Z')",
        "now() + duration('1h') > timestamp(ctx.user.metadata.createdAt)",
        "ctx.user.spec.email + '!' == 'a!'",
        "ctx.user.spec.groups + ['a'] == ['a']",
        "ctx.user.spec.email < 'm'",
        "ctx.user.spec.attrs.level + 1 > ctx.user.spec.attrs.other",
        "ctx.user.spec.attrs.level < 'a' || ctx.user.spec.attrs.level < now()",
        "ctx.groups.exists(g, g.spec.attrs.level * 2 > 3)",
        "-ctx.service.spec.port < 0",
    ],
)
def test_operands_that_do(text: str) -> None:
    assert problems(text) == []
