from __future__ import annotations

import os
import time

import pytest

from octelium.cli.invocation import Invocation
from octelium.client.storage import MemoryStorage


def test_the_process_s_own_world_by_default() -> None:
    invocation = Invocation()
    assert invocation.environ is os.environ
    assert invocation.now is time.time


def test_flags_reach_the_client() -> None:
    invocation = Invocation({"OCTELIUM_DOMAIN": "env.test"}, storage=MemoryStorage())
    invocation.flags |= {"domain": "flag.test", "endpoint": "h:1", "homedir": "/nowhere"}
    assert invocation.client.domain == "flag.test"
    assert invocation.client.target.endpoint == "h:1"
    invocation.close()


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("1", True), ("no", False)])
def test_logging_out_by_the_environment(value: str, wanted: bool) -> None:
    assert Invocation({"OCTELIUM_LOGOUT": value}).logout_wanted is wanted


def test_without_a_client_there_is_nothing_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    invocation = Invocation({"OCTELIUM_LOGOUT": "true"})
    invocation.finish()
    invocation.close()
    assert capsys.readouterr() == ("", "")
