from __future__ import annotations

from octelium.controller.objects.outcome import Desired, Problem


def test_without_a_word_there_are_neither_objects_nor_problems() -> None:
    assert Desired("upstream-svc-x") == Desired("upstream-svc-x", (), ())


def test_equal_problems_are_one() -> None:
    assert len({Problem("SecretMissing", "x"), Problem("SecretMissing", "x")}) == 1
