"""Predicates against the closures of the same expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from octelium.policy.cel.compiler import compile_node
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import (
    CompileError,
    EvaluationError,
    MissingDataError,
    UnknownDataError,
)
from octelium.policy.cel.predicates import compile_predicate, compile_test
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import ABSENT
from tests.policy.cel import oracle

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.cel.ast import Node
    from octelium.policy.cel.values import Frame

    Closure = Callable[[Frame], object]


class WithoutRequest(dict[str, Any]):
    """A context whose request is not known yet."""

    def __missing__(self, key: str) -> Any:
        if key == "request":
            raise UnknownDataError("later")
        raise KeyError(key)


PARTIAL = WithoutRequest({name: form for name, form in oracle.NORMAL.items() if name != "request"})


def outcome(run: Closure, context: dict[str, Any]) -> object:
    """What a condition makes of it: a truth, data that is not there, or the text of an error."""
    try:
        value = run(new_frame(context, {}))
    except MissingDataError:
        return ABSENT
    except EvaluationError as error:
        return f"{type(error).__name__}: {error}"
    return value if type(value) is bool or value is ABSENT else "no truth"


def truth(run: Closure, context: dict[str, Any]) -> object:
    """The outcome, with data that is not there as false."""
    result = outcome(run, context)
    return False if result is ABSENT else result


def made(compiler: Callable[[Node], Closure], text: str) -> Closure | str:
    """The compiled form of a text, or what is wrong with it."""
    try:
        return compiler(check(text).root)
    except CompileError as error:
        return str(error)


def agree(text: str) -> None:
    plain, predicate = made(compile_node, text), made(compile_predicate, text)
    test = made(compile_test, text)
    if isinstance(plain, str) or isinstance(predicate, str) or isinstance(test, str):
        assert plain == predicate == test
        return
    for context in (oracle.NORMAL, {}):
        expected = outcome(plain, context)
        assert outcome(predicate, context) == expected, (text, context)
        assert truth(test, context) == (False if expected is ABSENT else expected), (text, context)
    expected = outcome(plain, PARTIAL)
    assert outcome(predicate, PARTIAL) == expected, text
    early = truth(test, PARTIAL)
    if early != expected and expected is not ABSENT:
        # It may know more without the request, and must be right then.
        assert str(expected).startswith("UnknownDataError"), text
        assert truth(plain, oracle.NORMAL) is early is False


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(oracle.conditions())
def test_generated_conditions(text: str) -> None:
    agree(text)


@SLOW
@given(oracle.expressions())
def test_generated_expressions(text: str) -> None:
    agree(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctx.user.spec.type == 'HUMAN'", True),
        ("'HUMAN' == ctx.user.spec.type", True),
        ("ctx.user.spec.type != 'HUMAN'", False),
        ("ctx.user.spec.nope == 'x'", ABSENT),
        ("ctx.user.spec.nope != 'x'", ABSENT),
        ("ctx.nothing.x == 'x'", ABSENT),
        ("ctx.nothing == null", True),
        ("ctx.user.spec.nope == null", ABSENT),
        ("ctx.service.spec.port == 8080", True),
        ("ctx.service.spec.port != 8080", False),
        ("ctx['user']['spec'].type in ['HUMAN']", True),
        ("ctx.request.http.headers['host'] == 'a.example'", True),
        ("ctx.request.http.headers['nope'] in ['a']", ABSENT),
        ("ctx.request.http.headers in ['a']", False),
        ("'ops' in ctx.user.spec.groups", True),
        ("'ops' in ctx.user.spec.nope", ABSENT),
        ("'host' in ctx.request.http.headers", True),
        ("ctx.request.http.path.startsWith('/admin')", True),
        ("ctx.request.http.path.endsWith('x')", False),
        ("ctx.user.spec.email.contains('@')", True),
        ("ctx.user.spec.nope.contains('@')", ABSENT),
        ("ctx.nothing.x.contains('@')", ABSENT),
        ("has(ctx.user.spec.email)", True),
        ("has(ctx.user.spec.nope)", False),
        ("has(ctx.user.nope.email)", ABSENT),
        ("has(ctx.nothing.x)", ABSENT),
        ("!has(ctx.device.spec)", ABSENT),
        ("!(ctx.device.spec.x == 'x')", ABSENT),
        ("ctx.device.spec.x == 'x' || true", True),
        ("ctx.device.spec.x == 'x' && false", False),
        ("ctx.device.spec.x == 'x' || 1 / 0 > 1", ABSENT),
        ("true && ctx.device.spec.x == 'x'", ABSENT),
        ("true && ctx.device.x == 'x' && true", ABSENT),
        ("true && ctx.device.x == 'x' && false", False),
    ],
)
def test_outcomes(text: str, expected: object) -> None:
    assert outcome(compile_predicate(check(text).root), oracle.NORMAL) is expected
    agree(text)


@pytest.mark.parametrize(
    "text",
    [
        "ctx.user.spec.email.x == 'x'",
        "ctx.user.spec.email.x != 'x'",
        "ctx.user.spec.email.x == 1",
        "has(ctx.user.spec.email.x)",
        "'x' in ctx.user.spec.email",
        "ctx.user.spec.email.x in ['x']",
        "1 / 0 > 1 || ctx.device.x == 'x'",
        "!ctx.user.spec.email",
        "ctx.user.spec.email && true",
        "ctx.user.spec.groups.startsWith('x')",
        "ctx.user.spec.email.startsWith(dyn(1))",
        "ctx.user.spec.email.x.contains('x')",
        "ctx.nothing.contains('x')",
    ],
)
def test_mistakes_are_errors_as_everywhere(text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_predicate(check(text).root)(new_frame(oracle.NORMAL, {}))
    assert not isinstance(caught.value, MissingDataError)
    agree(text)


def test_missing_data_settles_a_conjunction() -> None:
    for text in (
        "ctx.device.x == 'x' && ctx.request.ip == 'x'",
        "ctx.nothing.x.startsWith('x') && ctx.request.ip == 'x'",
        "ctx.user.spec.type == 'HUMAN' && ctx.device.x == 'x' && 1 / 0 > 1",
    ):
        assert truth(compile_test(check(text).root), PARTIAL) is False
        agree(text)
    for text in (
        "1 / 0 > 1 && ctx.device.x == 'x'",
        "ctx.request.ip == 'x' && ctx.device.x == 'x'",
        "(ctx.device.x == 'x' && ctx.request.ip == 'x') || false",
        "dyn(1) && ctx.device.x == 'x'",
    ):
        assert type(truth(compile_test(check(text).root), PARTIAL)) is str
        agree(text)


def test_what_is_unknown_stays_unknown() -> None:
    for text in (
        "ctx.request.http.path == '/'",
        "has(ctx.request.http)",
        "'x' in ctx.request.http.headers",
        "ctx.request.ip in ['x']",
        "ctx.device.x == 'x' && ctx.request.ip == 'x'",
        "ctx.request.ip == 'x' && ctx.device.x == 'x'",
    ):
        with pytest.raises(UnknownDataError):
            compile_predicate(check(text).root)(new_frame(PARTIAL, {}))
        agree(text)
    known = compile_predicate(check("ctx.request.ip == 'x' && ctx.nothing == 1").root)
    assert known(new_frame(PARTIAL, {})) is False
