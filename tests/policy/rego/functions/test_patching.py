from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('json.patch({"a": [1, 2]}, [{"op": "add", "path": "a/1", "value": 9}])', {"a": [1, 9, 2]}),
        ('json.patch({"a": [1]}, [{"op": "add", "path": "a/-", "value": 9}])', {"a": [1, 9]}),
        ('json.patch(1, [{"op": "add", "path": "", "value": 2}])', 2),
        ('json.patch({"a": 1}, [{"op": "remove", "path": "a"}])', {}),
        ('json.patch({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}])', {"a": [2]}),
        ('json.patch({"a": 1}, [{"op": "replace", "path": "a", "value": 2}])', {"a": 2}),
        (
            'json.patch({"a": [1, 2]}, [{"op": "replace", "path": "a/0", "value": 5}])',
            {"a": [5, 2]},
        ),
        ('json.patch({"a": 1}, [{"op": "copy", "from": "a", "path": "b"}])', {"a": 1, "b": 1}),
        (
            'json.patch({"a": {"b": 1}}, [{"op": "move", "from": "a/b", "path": "c"}])',
            {"a": {}, "c": 1},
        ),
        ('json.patch({"a": 1}, [{"op": "test", "path": "a", "value": 1.0}])', {"a": 1}),
        ('json.patch({"a": {1, 2}}, [{"op": "remove", "path": ["a", 1]}])', {"a": [2]}),
        ('json.patch({"a": {1}}, [{"op": "add", "path": ["a", 2], "value": 2}])', {"a": [1, 2]}),
        ('json.patch({"a~b": 1}, [{"op": "remove", "path": "a~0b"}])', {}),
        ("json.patch({}, [])", {}),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("json.patch({}, {})", "argument 2 must be array"),
        ("json.patch({}, [1])", "must be object"),
        ('json.patch({}, [{"op": "add"}])', "needs op and path"),
        ('json.patch({}, [{"op": "no", "path": "a"}])', "there is no patch"),
        ('json.patch({}, [{"op": "add", "path": "a"}])', "needs a value"),
        ('json.patch({}, [{"op": "add", "path": "a/b", "value": 1}])', "leads nowhere"),
        ('json.patch({}, [{"op": "remove", "path": "a"}])', "leads nowhere"),
        ('json.patch({}, [{"op": "remove", "path": ""}])', "cannot be removed"),
        ('json.patch({"a": []}, [{"op": "add", "path": "a/1", "value": 1}])', "no position"),
        ('json.patch({"a": []}, [{"op": "add", "path": "a/x", "value": 1}])', "no position"),
        ('json.patch({}, [{"op": "replace", "path": "a", "value": 1}])', "leads nowhere"),
        (
            'json.patch({"a": 1}, [{"op": "test", "path": "a", "value": 2}])',
            "a test of the patch failed",
        ),
        ('json.patch({"a": 1}, [{"op": "copy", "path": "b"}])', "needs from"),
        ('json.patch({"a": {}}, [{"op": "move", "from": "a", "path": "a/b"}])', "into itself"),
        ('json.patch({"a": {1}}, [{"op": "add", "path": ["a", 2], "value": 3}])', "under itself"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
