from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.cli import exits, menu

if TYPE_CHECKING:
    from tests.cli.runner import Runner


def test_without_a_command_it_says_what_there_is(offline: Runner) -> None:
    result = offline.ctl("policy")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert result.err == offline.ctl("policy", "--help").out
    assert all(f"  {name} " in result.err for name in menu.POLICY.commands)


@pytest.mark.parametrize("name", menu.POLICY.commands)
def test_every_command_has_help_with_an_example(name: str, offline: Runner) -> None:
    result = offline.ctl("policy", name, "-h")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: octeliumctl policy {name} ")
    assert "\nExamples:\n" in result.out
    assert result.out == offline.ctl("help", "policy", name).out


def test_a_mistyped_command(offline: Runner) -> None:
    result = offline.ctl("policy", "evil")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "Did you mean 'eval'?" in result.err
