from __future__ import annotations

import threading

import pytest

from octelium.client.doctor.waiting import within


def test_what_is_done_in_time() -> None:
    assert within(60, lambda: 7) == 7
    assert within(60, lambda: None) is None


def test_what_takes_too_long() -> None:
    held = threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        within(0.01, held.wait)
    held.set()


def test_what_fails() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        within(60, fail)
