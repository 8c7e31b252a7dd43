from __future__ import annotations

import itertools
from typing import Final

from octelium.policy.cel.errors import CelError, MissingDataError
from octelium.policy.cel.logic import combine
from octelium.policy.lint.inferred import Can, both, decided, either, failed, swapped, valued
from octelium.policy.shape.shape import BOOL, OPEN, STRING

SINGLE: Final = [Can.TRUE, Can.FALSE, Can.VALUE, Can.MISSING, Can.ERROR]


def happen(outcome: Can) -> object:
    match outcome:
        case Can.TRUE:
            return True
        case Can.FALSE:
            return False
        case Can.VALUE:
            return "a text"
        case Can.MISSING:
            raise MissingDataError("nothing")
    raise CelError("no")


def evaluated(operator: str, left: Can, right: Can) -> Can:
    try:
        value = combine(operator, [lambda _: happen(left), lambda _: happen(right)])([])
    except MissingDataError:
        return Can.MISSING
    except CelError:
        return Can.ERROR
    return Can.TRUE if value else Can.FALSE


def test_logic_is_that_of_the_evaluator() -> None:
    for left, right in itertools.product(SINGLE, repeat=2):
        assert evaluated("_&&_", left, right) & both(left, right), (left, right)
        assert evaluated("_||_", left, right) & either(left, right), (left, right)


def test_logic_is_no_wider_than_it_must_be() -> None:
    assert both(Can.TRUE, Can.TRUE) == Can.TRUE
    assert both(Can.FALSE, Can.TRUE) == Can.FALSE
    assert either(Can.FALSE, Can.FALSE) == Can.FALSE
    assert not both(Can.MISSING, Can.EITHER) & Can.TRUE
    assert not either(Can.MISSING, Can.FALSE) & (Can.TRUE | Can.FALSE)
    assert swapped(Can.TRUE | Can.MISSING) == Can.FALSE | Can.MISSING
    assert swapped(Can.VALUE) == Can.ERROR


def test_values_of_shapes() -> None:
    assert valued(STRING).can == Can.VALUE
    assert valued(BOOL).can == Can.EITHER
    assert valued(BOOL.as_sparse(), Can.MISSING).can == Can.TRUE | Can.MISSING
    assert valued(OPEN).can == Can.RESULT
    assert failed(Can.ANYTHING).can == Can.FAIL
    assert not failed(Can.ANYTHING).has_value
    assert decided(Can.TRUE | Can.ERROR).fails == Can.ERROR
