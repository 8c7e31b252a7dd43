from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.cli.modes import SERVED
from octelium.schema.modes import SERVED_MODES, mode_name

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_what_is_served() -> None:
    assert set(map(mode_name, SERVED_MODES)) == SERVED


@pytest.mark.parametrize(
    ("spec", "warned"),
    [("{mode: SSH}", True), ("{mode: HTTP}", False), ("{mode: WEB}", False), ("{}", False)],
)
def test_apply_warns_of_what_is_not_served(terminal: Runner, spec: str, warned: bool) -> None:
    user = "kind: User\nmetadata: {name: u}\n"
    text = f"kind: Service\nmetadata: {{name: x}}\nspec: {spec}\n---\n{user}"
    result = terminal.ctl("apply", "-", stdin=text)
    assert result.code == 0
    expected = "Warning: service/x: mode SSH is stored but not served by this version\n"
    assert result.err == (expected if warned else "")


def test_other_implementations_may_serve_them(cluster: StandIn, terminal: Runner) -> None:
    cluster.foreign = True
    text = "kind: Service\nmetadata: {name: x}\nspec: {mode: SSH}\n"
    result = terminal.ctl("apply", "-", stdin=text)
    assert result.code == 0
    assert "not served" not in result.err
