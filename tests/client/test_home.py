from __future__ import annotations

from pathlib import Path

import pytest

from octelium.client.home import state_directory


def test_the_flag_goes_before_the_environment() -> None:
    environ = {"OCTELIUM_HOME": "/srv/b", "XDG_CONFIG_HOME": "/srv/c"}
    assert state_directory("/srv/a", environ) == Path("/srv/a")
    assert state_directory(None, environ) == Path("/srv/b")
    del environ["OCTELIUM_HOME"]
    if Path("/proc").exists():
        assert state_directory(None, environ) == Path("/srv/c/octelium")


def test_a_relative_configuration_directory_is_ignored() -> None:
    found = state_directory(None, {"XDG_CONFIG_HOME": "here"})
    assert found is not None
    assert found.is_absolute()
    assert found.name == "octelium"


@pytest.mark.parametrize("word", ["mem", "memory"])
def test_nothing_on_disk(word: str) -> None:
    assert state_directory(word, {}) is None
    assert state_directory(None, {"OCTELIUM_HOME": word}) is None


def test_the_tilde_is_the_home_directory() -> None:
    assert state_directory("~/x", {}) == Path.home() / "x"
