from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from octelium.policy.rego.functions import FUNCTIONS, arguments
from octelium.policy.rego.functions.arguments import (
    MAX_TEXT,
    array,
    aset,
    integer,
    made,
    mapping,
    members,
    num,
    text,
    texts,
    truth,
)
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.values import FALSE, TRUE, Array, Meter, Object, Set
from tests.peers.timing import within


def test_what_fits_is_given_back() -> None:
    items, names, found = Array([1]), Set(["a"]), Object({"a": 1})
    assert text("a") == "a"
    assert num(1.5) == 1.5
    assert integer(3.0) == 3
    assert isinstance(integer(3.0), int)
    assert truth(TRUE) is True
    assert truth(FALSE) is False
    assert array(items) is items
    assert aset(names) is names
    assert mapping(found) is found
    assert members(names) is names
    assert texts(names) == ["a"]


@pytest.mark.parametrize(
    ("check", "wrong", "problem"),
    [
        (text, 1, "argument 1 must be string, not number"),
        (num, "1", "must be number, not string"),
        (num, TRUE, "must be number, not boolean"),
        (integer, 1.5, "must be a whole number"),
        (integer, None, "must be integer, not null"),
        (truth, 1, "must be boolean, not number"),
        (array, Set(), "must be array, not set"),
        (aset, Array(), "must be set, not array"),
        (mapping, Array(), "must be object, not array"),
        (members, Object(), "must be array or set, not object"),
        (texts, Array(["a", 1]), "must be array or set of strings, with no, not number"),
    ],
)
def test_others_are_errors(check: object, wrong: object, problem: str) -> None:
    with pytest.raises(RegoError, match=problem):
        check(wrong)  # type: ignore[operator]  # one of the functions above
    position = 4
    with pytest.raises(RegoError, match="argument 4"):
        check(wrong, position)  # type: ignore[operator]


def test_long_results_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(10)
    assert made("short", meter) == "short"
    assert meter.left == 10
    with pytest.raises(RegoBudgetError):
        made("x" * 100_000, meter)
    monkeypatch.setattr(arguments, "MAX_TEXT", 1000)
    with pytest.raises(RegoError, match="more than 1000 characters"):
        made("x" * 1001, Meter())
    assert MAX_TEXT > 1000


LARGE: list[Any] = [
    "a" * 60_000,
    "é" * 30_000,
    "a/" * 30_000,
    "{a,b}" * 400,
    "[" + "1," * 30_000 + "1]",
    "10.0.0.0/16",
    Array(map(str, range(20_000))),
    Array(["x" * 60_000] * 20),
    Object((str(number), str(number)) for number in range(20_000)),
    Set(map(str, range(20_000))),
    Set(Set([number]) for number in range(5000)),
]
SMALL: list[Any] = ["a", "", 1, -1, 0, Array(["a"]), Object({"a": "b"}), Set(["a"])]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_call_takes_long_with_what_may_be_spent_at_once(name: str) -> None:
    function, count = FUNCTIONS[name]
    choices = random.Random(name)
    for _ in range(60):
        given = [choices.choice(LARGE if choices.random() < 0.7 else SMALL) for _ in range(count)]
        meter = Meter(3000)
        with within(0.5), contextlib.suppress(RegoError), meter:
            function(meter, *given)
