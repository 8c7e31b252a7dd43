from __future__ import annotations

from octelium.vigil.errors import Absence, NotReady, Unserviceable, not_offered


def test_a_problem_and_its_status() -> None:
    assert Unserviceable("x").status == 500
    assert Unserviceable("x", 502).status == 502
    problem = not_offered("a feature")
    assert problem.status == 500
    assert str(problem) == "a feature is not offered by this version"


def test_a_container_that_is_not_there() -> None:
    problem = NotReady(Absence.FAILING, "CrashLoopBackOff")
    assert (problem.status, problem.absence) == (503, Absence.FAILING)
    assert str(problem) == "the container is not ready: CrashLoopBackOff"
    assert str(NotReady(Absence.STARTING)) == "the container is starting"
