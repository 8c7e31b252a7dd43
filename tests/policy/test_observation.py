from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.values import normalized
from octelium.policy.observation import MAX_PLAIN, ambiguous, key_of, observe
from octelium.policy.request import DictRequest, NoRequest, Path
from tests.conftest import SOAK

LEAVES = [1, True, 1.0, "1", None, "", 0, False, [], {}, [1], ["1"], [True], [[]], {"a": 1}, -0.0]


def key(value: Any, path: Path = ("http", "x")) -> object:
    return key_of(DictRequest({"http": {"x": value}}), [path])


def test_values_are_told_apart_by_type() -> None:
    absent = key_of(DictRequest({"http": {}}), [("http", "x")])
    further = key_of(DictRequest({}), [("http", "x")])
    nothing = key_of(NoRequest(), [("http", "x")])
    keys = [*(key(leaf) for leaf in LEAVES), absent, further, nothing]
    assert len(set(keys)) == len(keys)


def test_long_values_are_hashed() -> None:
    long = "a" * (MAX_PLAIN + 1)
    (part,) = key_of(DictRequest({"x": long}), [("x",)])
    assert len(part) < 64
    assert key_of(DictRequest({"x": long}), [("x",)]) != key_of(
        DictRequest({"x": long + "b"}), [("x",)]
    )
    (part,) = key_of(DictRequest({"x": [long]}), [("x",)])
    assert len(part) < 64


def test_an_absent_path_counts_how_far_it_leads() -> None:
    path = ("http", "headers", "a", "b")
    contexts: list[dict[str, Any]] = [
        {},
        {"http": {}},
        {"http": {"headers": {}}},
        {"http": {"headers": {"a": "text"}}},
        {"http": {"headers": {"a": "other"}}},
        {"http": {"headers": {"a": {}}}},
        {"http": {"headers": None}},
        {"http": {"headers": []}},
    ]
    assert len({key_of(DictRequest(context), [path]) for context in contexts}) == len(contexts)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no JSON"):
        key(b"bytes")
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(EvaluationError, match="nested"):
        key(deep)


def test_half_characters_have_keys() -> None:
    assert key(["\udcff"]) != key(["\udcfe"])


def test_observing_builds_what_is_read() -> None:
    request = DictRequest({"ip": "a", "http": {"path": "/", "size": 5, "headers": {"x": "1"}}})
    assert observe(request, [("http", "path"), ("http", "size")]) == {
        "http": {"path": "/", "size": 5.0}
    }
    assert observe(request, [()]) == normalized(request.context())
    assert observe(request, []) == {}
    assert observe(request, [("http", "headers", "y")]) == {"http": {"headers": {}}}
    assert observe(request, [("ssh", "user")]) == {}
    assert observe(request, [("ip", "x")]) == {"ip": "a"}
    assert observe(NoRequest(), [("http", "path")]) is None


def test_what_may_be_given_more_than_once() -> None:
    once: list[Path] = [
        ("ip",),
        ("http", "host"),
        ("grpc", "method"),
        ("grpc", "http", "method"),
        ("http", "bodyMap", "headers"),
        ("ssh", "connect", "user"),
    ]
    several: list[Path] = [
        (),
        ("http",),
        ("grpc",),
        ("http", "headers"),
        ("http", "headers", "x"),
        ("http", "queryParams", "x"),
        ("http", "path"),
        ("http", "uri"),
        ("grpc", "http", "path"),
        ("grpc", "http"),
        ("grpc", "http", "headers", "x"),
        ("http", "headers", "http"),
    ]
    assert ambiguous(once) == ()
    assert ambiguous(several) == tuple(several)


JSON = st.recursive(
    st.sampled_from(["a", "1", "", 1, 1.0, True, False, None]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "b", "http", "1"]), inner, max_size=3)
    ),
    max_leaves=8,
)
CONTEXTS = st.dictionaries(st.sampled_from(["http", "a", "b"]), JSON, max_size=3)
SELECTIONS = st.lists(st.sampled_from(["a", "b", "http", "1"]), max_size=3).map(
    lambda names: "".join(f"['{name}']" for name in ["request", *names])
)
TEXTS = st.one_of(
    SELECTIONS.map(lambda path: f"ctx{path}"),
    SELECTIONS.map(lambda path: f"ctx{path} == 1"),
    SELECTIONS.map(lambda path: f"has(ctx{path}.a)"),
    SELECTIONS.map(lambda path: f"!has(ctx{path}.a)"),
    SELECTIONS.map(lambda path: f"'a' in ctx{path}"),
    SELECTIONS.map(lambda path: f"size(ctx{path}) > 0"),
    st.tuples(SELECTIONS, SELECTIONS).map(lambda t: f"ctx{t[0]} == ctx{t[1]}"),
    st.tuples(SELECTIONS, SELECTIONS).map(lambda t: f"has(ctx{t[0]}.b) || ctx{t[1]} == 'a'"),
)


def outcome(text: str, request: object) -> object:
    try:
        return repr(compile_program(text).evaluate(new_frame({"request": request})))
    except EvaluationError as error:
        return type(error)


@settings(max_examples=2000 if SOAK else 100)
@given(TEXTS, CONTEXTS, CONTEXTS)
def test_an_observation_is_as_good_as_the_request(
    text: str, context: dict[str, Any], other: dict[str, Any]
) -> None:
    try:
        reads = compile_program(text).reads
    except CompileError:
        return
    paths = sorted(path[1:] for path in reads)
    request = DictRequest(context)
    seen = observe(request, paths)
    assert outcome(text, seen) == outcome(text, normalized(context))
    # Equal keys: equal outcomes.
    if key_of(request, paths) == key_of(DictRequest(other), paths):
        assert outcome(text, normalized(other)) == outcome(text, normalized(context))
