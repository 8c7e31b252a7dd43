from __future__ import annotations

import json
import math
from typing import Any

import pytest

from octelium.cli.policy.notation import json_form, typed
from octelium.policy.cel.values import CelType, Duration, Timestamp, UInt, map_key


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        (1, 1),
        (UInt(1), 1),
        (1.0, 1),
        (0.5, 0.5),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        ('a"\n', 'a"\n'),
        (b'a"\xff', "YSL/"),
        (Timestamp(1_500_000_000), "1970-01-01T00:00:01.5Z"),
        (Duration(-1_500_000_000), "-1.5s"),
        (CelType("int"), "int"),
        ([1, [UInt(2)]], [1, [2]]),
        ({map_key(True): 1, "a": {}, 3: 1.5, UInt(4): 1}, {"true": 1, "a": {}, "3": 1.5, "4u": 1}),
    ],
)
def test_the_form_in_json(value: object, form: Any) -> None:
    assert json_form(value) == form
    assert json.loads(json.dumps(json_form(value), allow_nan=False)) == form


def test_the_type_stands_beside_the_value() -> None:
    assert typed(UInt(1)) == "1u (uint)"
    assert typed([1.0]) == "[1.0] (list)"
