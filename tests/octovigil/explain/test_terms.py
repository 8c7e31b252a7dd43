"""Terms: their values, and where they stand."""

from __future__ import annotations

import pytest

from octelium.octovigil.explain.terms import ITEM, NO_VALUE, Element, Terms
from octelium.policy.cel.ast import Call, Fold
from octelium.policy.cel.environment import check
from octelium.policy.cel.program import new_frame
from tests.policy.cel.oracle import NORMAL


def terms() -> Terms:
    made = Terms(new_frame(NORMAL))
    made.begin({"level": 3.0})
    return made


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("ctx", ()),
        ("ctx.user.spec.email", ("user", "spec", "email")),
        ("ctx['user']['spec'].email", ("user", "spec", "email")),
        ("ctx.request.http.headers[ctx.user.metadata.name]", ("request", "http", "headers", "ann")),
        ("dyn(ctx.user).spec.type.lowerAscii()", ("user", "spec", "type")),
        ("int(ctx.request.http.size)", ("request", "http", "size")),
        ("ctx.groups.map(g, g.metadata.name)", ("user", "spec", "groups")),
        ("ctx.groups.map(g, g.metadata.uid)", None),
        ("ctx.user.spec.groups.map(g, g.metadata.name)", None),
        ("ctx.groups[0]", None),
        ("ctx.user.spec.type + 'x'", None),
        ("attrs.level", None),
        ("'x'", None),
    ],
)
def test_where_terms_stand(text: str, path: tuple[str, ...] | None) -> None:
    assert terms().path(check(text).root, {}) == path


def test_values() -> None:
    made = terms()
    assert made.value(check("attrs.level + 1.0").root, {}) == 4.0
    assert made.value(check("ctx.user.nope").root, {}) is NO_VALUE
    assert made.value(check("1 / 0").root, {}) is NO_VALUE
    assert made.at(("user", "spec", "type")) == "HUMAN"
    assert made.at(("nope",)) is NO_VALUE


def test_names() -> None:
    bind = check("cel.bind(v, ctx.user.spec, v.type == 'HUMAN')").root
    assert isinstance(bind, Fold)
    assert isinstance(bind.result, Call)
    names = {"v": bind.init}
    made = terms()
    assert made.value(bind.result, names) is True
    assert made.path(bind.result.args[0], names) == ("user", "spec", "type")
    failing = {"v": check("1 / 0").root}
    assert made.value(bind.result, failing) is NO_VALUE
    element = {"v": Element(("user", "spec", "groups"))}
    assert made.value(bind.result, element) is NO_VALUE
    path = made.path(bind.result.args[0], element)
    assert path == ("user", "spec", "groups", ITEM, "type")
    assert path is not None
    assert path[3] is ITEM


def test_elements() -> None:
    fold = check("ctx.groups.exists(g, g.metadata.name == 'dev')").root
    assert isinstance(fold, Fold)
    assert isinstance(fold.step, Call)
    predicate = fold.step.args[1]
    assert terms().element("g", predicate, {"metadata": {"name": "dev"}}) is True
    assert terms().element("g", predicate, {"metadata": {"name": "ops"}}) is False
    assert terms().element("g", predicate, {}) is NO_VALUE


def test_evaluations_are_bounded() -> None:
    items = {"items": [str(number) for number in range(300)]}
    made = Terms(new_frame(items))
    made.begin({})
    loop = check("ctx.items.all(a, ctx.items.all(b, a + b != 'x'))").root
    assert made.value(loop, {}) is NO_VALUE
    assert made.value(check("ctx.items.all(a, a != 'x')").root, {}) is NO_VALUE
    made.begin({})
    assert made.value(check("ctx.items.all(a, a != 'x')").root, {}) is True
