from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.reads import minimal
from octelium.policy.cel.values import ATTRS, NOW, REGO
from octelium.policy.context import Context
from octelium.policy.rego import module as modules
from octelium.policy.rego.builtins import OFFERED, VOLATILE
from octelium.policy.rego.functions import FUNCTIONS
from octelium.policy.rego.module import (
    CONDITION,
    CONFIGURATION,
    LARGE,
    MAX_INLINE,
    RegoModule,
    check_module,
    compile_module,
    evaluate,
    plain,
    resolve,
)
from octelium.policy.rego.needed import (
    UNDEFINED,
    RegoBudgetError,
    RegoError,
    RegoNeeded,
    RegoResults,
)
from octelium.policy.rego.tokens import RegoSyntaxError
from tests.policy.rego.evaluation import CONDITION as PACKAGE

if TYPE_CHECKING:
    from octelium.policy.cel.values import Frame

SLOW = "count([1 | some a in input.ctx.xs; some b in input.ctx.xs]) > 0"
XS = [1.0] * 200


def condition(rules: str) -> RegoModule:
    return compile_module(PACKAGE + rules, CONDITION)


def frame(ctx: dict[str, Any], **options: Any) -> Frame:
    return new_frame(ctx, **options)


def large(rules: str) -> RegoModule:
    made = condition(rules + "\n#" + "x" * LARGE)
    assert made.program is None
    return made


def test_short_evaluations_are_made_at_once() -> None:
    made = condition("match if input.ctx.user.age > 1")
    assert made.test(frame({"user": {"age": 2.0}}))
    assert not made.test(frame({"user": {"age": 1.0}}))
    assert not made.test(frame({}))
    wrong = condition("match := input.ctx.x")
    values: list[Any] = [None, 1.0, "true", [], {}]
    for value in values:
        with pytest.raises(RegoError, match="true or false"):
            wrong.test(frame({"x": value}))


def test_numbers_are_those_of_json() -> None:
    ctx: dict[str, Any] = {"a": [8080.0, 1.5, True, None, 1e300]}
    assert plain(ctx) == {"a": [8080, 1.5, True, None, 1e300]}
    assert isinstance(plain(ctx)["a"][0], int)
    assert condition('match if sprintf("%d", [input.ctx.port]) == "8080"').test(
        frame({"port": 8080.0})
    )
    assert condition("match if input.ctx.port + 1 == 8081").test(frame({"port": 8080.0}))


def test_attrs_are_there_where_they_are_for_cel() -> None:
    made = condition("match if input.attrs.limit == 5")
    assert made.reads == frozenset()
    assert made.test(frame({}, attrs={"limit": 5.0}))
    assert not made.test(frame({}, attrs={}))
    assert condition("match if not input.attrs").test(frame({}))


@pytest.mark.parametrize("large_text", [False, True])
def test_what_a_module_reads(large_text: bool) -> None:
    def reads(rules: str) -> frozenset[tuple[str, ...]]:
        return (large if large_text else condition)(rules).reads

    assert reads("match if input.ctx.user.a == input.ctx.request.b") == {
        ("user", "a"),
        ("request", "b"),
    }
    assert reads("match if input.ctx[_]") == {()}
    assert reads("match if count(input) > 1") == {()}
    assert reads("match if input.attrs.a") == frozenset()
    assert reads("match if [1] == [x | x := input.ctx.user; x.input.ctx]") == {("user",)}


def test_of_a_lazy_context_no_more_is_made_than_is_read() -> None:
    made = condition("match if input.ctx.user.age > 1")

    class Trap(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            raise AssertionError(key)

    assert made.test(frame(Trap(user={"age": 2.0})))
    unknown = Context({})
    with pytest.raises(UnknownDataError):
        condition("match if input.ctx.request.a").test(frame(unknown))
    unknown.set_request({"a": "b"})
    assert condition("match if input.ctx.request.a").test(frame(unknown))
    assert condition("match if count(input.ctx) == 1").test(frame(unknown))


def test_what_takes_long_is_asked_for() -> None:
    made = condition(f"match if {SLOW}")
    asking = frame({"xs": XS})
    with pytest.raises(RegoNeeded) as caught:
        made.test(asking)
    needed = caught.value
    assert needed.module is made
    assert needed.results is asking[REGO]
    resolve(needed)
    assert made.test(asking)
    # The answer is for this input alone.
    other = frame({"xs": [*XS, 2.0]})
    other[REGO] = needed.results
    with pytest.raises(RegoNeeded):
        made.test(other)
    needed.answer(UNDEFINED)
    assert not made.test(asking)
    needed.answer(RegoError("why"))
    with pytest.raises(RegoError, match="why"):
        made.test(asking)


def test_all_modules_of_a_decision_share_what_may_be_done_at_once() -> None:
    each = "count([1 | some a in input.ctx.xs; input.ctx.n == {0}]) > 0"
    asking = frame({"xs": XS, "n": 0.0})
    found = 0
    for number in range(100):
        try:
            condition(f"match if {each.format(number)}").test(asking)
        except RegoNeeded:
            break
        found += 1
    assert 2 < found < 20


def test_a_module_that_took_long_is_not_tried_at_once_again() -> None:
    made = condition(f"match if {SLOW}  # again")
    with pytest.raises(RegoNeeded):
        made.test(frame({"xs": XS}))
    # Others' inputs, which are small, are.
    assert made.test(frame({"xs": [1.0]}))
    for _ in range(modules._PATIENCE):
        with pytest.raises(RegoNeeded):
            made.test(frame({"xs": ["x" * 800]}))
    assert made.test(frame({"xs": ["x" * 800]}))


def test_large_modules_are_compiled_elsewhere() -> None:
    made = large("match if input.ctx.a")
    asking = frame({"a": True, "b": 1.0})
    with pytest.raises(RegoNeeded) as caught:
        made.test(asking)
    assert caught.value.document == b'{"ctx":{"a":true}}'
    resolve(caught.value)
    assert made.test(asking)
    broken = large("match if x")
    with pytest.raises(RegoNeeded) as caught:
        broken.test(asking)
    resolve(caught.value)
    with pytest.raises(RegoError, match="x is unsafe"):
        broken.test(asking)


def test_volatile_modules() -> None:
    for rules in (
        "match if time.now_ns() > 0",
        'match if rand.intn("a", 2) == 1',
        'match if uuid.rfc4122("a") == "b"',
        "match if true\nother := time.now_ns()",
    ):
        assert condition(rules).volatile
        assert large(rules).volatile
        asking = frame({})
        asking[NOW] = None
        with pytest.raises(UnknownDataError):
            condition(rules).test(asking)
    assert not condition('match if time.weekday(0) == "Thursday"').volatile
    now = condition("match if time.now_ns() == 1500000000000000000")
    assert now.test(frame({}, now=1.5e9))
    assert not now.test(frame({}, now=1.6e9))
    with pytest.raises(RegoNeeded) as caught:
        large("match if time.now_ns() == 1500000000000000000").test(frame({}, now=1.5e9))
    resolve(caught.value)
    assert list(caught.value.results.known.values()) == [True]


ODD_SPELLINGS = (
    'time["now_ns"]()',
    "time[`now_ns`]()",
    'time["now\\u005fns"]()',
    'time[ "now_ns" ]()',
    'rand["intn"]("a", 2)',
    'uuid["\\u0072fc4122"]("a")',
    'io["jwt"]["decode_verify"]("a", {})',
    "io.jwt[`decode_verify`](`a`, {})",
)


@pytest.mark.parametrize("call", ODD_SPELLINGS)
def test_the_clock_and_chance_are_found_in_every_spelling(call: str) -> None:
    rules = f"match if {call} != 5"
    assert condition(rules).volatile
    assert large(rules).volatile
    assert large(f"f(x) := [y | y := {call}]\nmatch if count(f(1)) > 0").volatile


def test_a_dot_within_a_part_of_a_functions_name() -> None:
    rules = 'match if io["jwt.decode_verify"]("a", {})'
    assert "dot" in check_module(PACKAGE + rules, CONDITION)
    assert large(rules).volatile


@given(st.data())
def test_of_a_large_module_rather_too_much_is_known(data: st.DataObject) -> None:
    parts = {part for name in OFFERED for part in name.split(".")}

    def spelled(part: str) -> str:
        form = data.draw(st.sampled_from([".a", '["a"]', "[`a`]", '[ "a" ]', "escaped"]))
        if form == "escaped":
            return '["' + "".join(f"\\u{ord(letter):04x}" for letter in part) + '"]'
        return form.replace("a", part)

    name = data.draw(st.sampled_from(sorted(VOLATILE) + sorted(OFFERED)))
    head, *rest = name.split(".")
    path = data.draw(st.lists(st.sampled_from(["ctx", "user", "now_ns", "input", "a"]), max_size=4))
    reading = "input" + "".join(map(spelled, path))
    count = FUNCTIONS[name][1]
    arguments = ", ".join([reading] * count)
    alias = data.draw(st.sampled_from(["", "import input.ctx as c\n", "import input as c\n"]))
    rules = f"{alias}match if {head}{''.join(map(spelled, rest))}({arguments}) == "
    rules += data.draw(st.sampled_from(["1", "c" if alias else "2", "c.user" if alias else "3"]))
    assert set(rest) <= parts
    small, padded = condition(rules), large(rules)
    assert padded.volatile or not small.volatile
    assert minimal({*small.reads, *padded.reads}) == padded.reads
    assert check_module(padded.text, CONDITION) == ""


def test_what_is_known_of_a_large_module_is_checked_where_it_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = large("match if time.now_ns() > 7")
    monkeypatch.setattr(modules, "_facts", lambda _text: (frozenset(), False))
    modules._program.cache_clear()
    with pytest.raises(RegoError, match="depends on"):
        evaluate(made.text, CONDITION, {}, 8)
    modules._program.cache_clear()
    made = large("match if input.ctx.user.a")
    with pytest.raises(RegoError, match="depends on"):
        evaluate(made.text, CONDITION, {}, 8)
    modules._program.cache_clear()


def test_configurations() -> None:
    made = compile_module(
        'package octelium.eval\nresult := {"a": input.ctx.a} if input.ctx.a', CONFIGURATION
    )
    assert made.form(frame({"a": "x"})) == {"a": "x"}
    with pytest.raises(RegoError, match="result is undefined"):
        made.form(frame({}))
    wrong = compile_module("package octelium.eval\nresult := [1]", CONFIGURATION)
    with pytest.raises(RegoError, match="no object but an array"):
        wrong.form(frame({}))


def test_modules_are_equal_by_text_and_purpose() -> None:
    one = condition("match if true")
    assert one == RegoModule(one.text, CONDITION, frozenset(), volatile=True, program=None)
    assert hash(one) == hash(RegoModule(one.text, CONDITION, one.reads, True, None))
    assert one != condition("match if false")


def test_what_cannot_be_json_is_an_error() -> None:
    made = condition(f"match if {SLOW}")
    with pytest.raises(RegoError, match="JSON"):
        made.test(frame({"xs": [*XS, "\ud800"]}))


def test_checking() -> None:
    assert check_module(f"{PACKAGE}match if true", CONDITION) == ""
    assert "the package is octelium.condition" in check_module(PACKAGE, CONFIGURATION)
    assert "x is unsafe" in check_module(f"{PACKAGE}match if x", CONDITION)
    assert "x is unsafe" in check_module(f"{PACKAGE}match if x\n#{'y' * LARGE}", CONDITION)
    assert "at most 20000" in check_module("x" * 20_001, CONDITION)
    with pytest.raises(RegoSyntaxError, match="at most 20000"):
        condition("#" * 20_000)
    with pytest.raises(RegoSyntaxError, match="no rule defines match"):
        condition("other if true")


def test_evaluating_here() -> None:
    assert evaluate(f"{PACKAGE}match := input.a", CONDITION, {"a": [1]}) == [1]
    with pytest.raises(RegoError, match="no rule"):
        evaluate(PACKAGE, CONDITION, {})
    results = RegoResults(MAX_INLINE)
    endless = "some a in numbers.range(1, 9000); some b in numbers.range(1, 9000)"
    made = condition(f"match if count([1 | {endless}]) > 0")
    needed = RegoNeeded(made, b"{}", results)
    resolve(needed)
    assert isinstance(results.known[needed.key], RegoBudgetError)
    assert not results.transient


def test_frames_of_other_callers_need_no_slot() -> None:
    asking = frame({})
    assert asking[REGO] is None
    asking[ATTRS] = {}
    assert condition("match if true").test(asking)
    assert isinstance(asking[REGO], RegoResults)
