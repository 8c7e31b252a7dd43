from __future__ import annotations

from octelium.visibility.record import AuditSubject
from tests.visibility.samples import record


def test_subjects_are_told_apart_by_identity() -> None:
    one = AuditSubject("HTTP", True, True, {})
    two = AuditSubject("HTTP", True, True, {})
    assert one != two
    assert len({one, two}) == 2


def test_a_record_costs_the_collector_nothing() -> None:
    import gc

    assert not gc.is_tracked(record())
