from __future__ import annotations

import resource
import sys
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.shares import MOST_CONNECTIONS, Shares, open_files

if TYPE_CHECKING:
    import pytest


@given(st.integers(1024, 1 << 24))
def test_the_front_door_has_files_that_nobody_else_gets(files: int) -> None:
    shares = Shares.of(files)
    taken = 2 * (shares.private + shares.stuck + shares.flows)
    assert shares.front + taken <= files
    assert shares.front >= files // 8
    assert shares.each_session <= shares.each_user <= shares.private
    assert shares.stuck_each_user <= shares.stuck
    assert shares.flows_each_session <= shares.flows


def test_one_user_has_a_small_part_and_one_session_some_hundreds() -> None:
    shares = Shares.of(20_000)
    assert shares.each_user * 6 <= shares.private
    assert shares.each_session * 12 <= shares.private
    assert shares.each_session > 300
    assert shares.stuck_each_user * 4 <= shares.stuck
    assert shares.front > 7000
    assert Shares.of(sys.maxsize).private == MOST_CONNECTIONS


def test_with_hardly_any_files_everybody_has_a_few() -> None:
    shares = Shares.of(64)
    assert min(shares.front, shares.each_session, shares.stuck_each_user) > 0


def test_the_limit_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, -1))
    assert open_files() == sys.maxsize
