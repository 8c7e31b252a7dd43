from __future__ import annotations

from octelium.vigil.errors import Unserviceable, not_offered


def test_a_problem_and_its_status() -> None:
    assert Unserviceable("x").status == 500
    assert Unserviceable("x", 502).status == 502
    problem = not_offered("a feature")
    assert problem.status == 500
    assert str(problem) == "a feature is not offered by this version"
