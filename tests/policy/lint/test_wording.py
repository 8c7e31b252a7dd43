from octelium.policy.cel.ast import Const, Ident, Node
from octelium.policy.cel.environment import check
from octelium.policy.cel.values import UInt
from octelium.policy.lint.wording import (
    absence,
    canonical,
    conversion,
    described,
    shape_of,
    text_of,
)
from octelium.policy.shape.shape import (
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    Kind,
    Meaning,
    Shape,
)

INSTANT = Shape(Kind.STRING, meaning=Meaning.INSTANT)
NUMBER = Shape(Kind.STRING, meaning=Meaning.NUMBER)
DATA = Shape(Kind.STRING, meaning=Meaning.DATA)


def root(text: str) -> Node:
    return check(text).root


def test_long_parts_are_cut() -> None:
    assert text_of(root("ctx.a.b")) == "ctx.a.b"
    long = text_of(root("ctx.a.startsWith('" + "x" * 200 + "')"))
    assert long.endswith("...")
    assert len(long) == 123


def test_literals() -> None:
    assert shape_of(Const(1)) == INT
    assert shape_of(Const(UInt(1))) == UINT
    assert shape_of(Const(1.5)) == DOUBLE
    assert shape_of(Const(None)).kind is Kind.NULL
    assert shape_of(Const(True)).kind is Kind.BOOL
    assert shape_of(Const(b"")) == BYTES


def test_words() -> None:
    assert described(STRING) == "a text"
    assert [described(one) for one in (INSTANT, NUMBER, DATA)] == [
        "an instant in a text",
        "an integer in a text",
        "base64 text",
    ]


def test_conversions() -> None:
    assert conversion("x", INSTANT, TIMESTAMP) == "write timestamp(x)"
    assert conversion("x", INSTANT, DURATION) == "write timestamp(x)"
    assert conversion("x", NUMBER, INT) == "write int(x)"
    assert conversion("x", DATA, BYTES) == "write base64.decode(x)"
    assert conversion("x", STRING, INT) == ""
    assert conversion("x", NUMBER, STRING) == ""


def test_paths() -> None:
    assert canonical(root('ctx["user"].spec["email"]')) == root("ctx.user.spec.email")
    odd = root('ctx.request.http.headers["x-a"]')
    assert canonical(odd) == odd
    assert absence(root("ctx.a"), "ctx.a") == "write !has(ctx.a)"
    assert absence(Ident("a"), "a") == ""
