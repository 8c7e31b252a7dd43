from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.cli import exits, menu

if TYPE_CHECKING:
    from tests.cli.runner import Runner


def test_without_a_command_it_says_what_there_is(offline: Runner) -> None:
    result = offline("octelium", "auth")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "  authenticator " in result.err
    result = offline("octelium", "auth", "authenticator")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert all(f"  {name} " in result.err for name in menu.AUTHENTICATOR.commands)


@pytest.mark.parametrize("name", menu.AUTHENTICATOR.commands)
def test_every_command_has_help_with_an_example(name: str, offline: Runner) -> None:
    result = offline("octelium", "auth", "authenticator", name, "-h")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: octelium auth authenticator {name} ")
    assert "\nExample" in result.out
