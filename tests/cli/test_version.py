from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

import pytest

from octelium import __version__

if TYPE_CHECKING:
    from tests.cli.runner import Runner


@pytest.mark.parametrize("name", ["octelium", "octeliumctl", "octops"])
def test_the_version(name: str, offline: Runner) -> None:
    facts = json.loads(offline(name, "version", "-o", "json").out)
    assert facts == {
        "releaseVersion": __version__,
        "pythonVersion": platform.python_version(),
        "apiVersion": "v1",
    }
    yaml = "".join(f"{key}: {value}\n" for key, value in facts.items())
    assert offline(name, "version").out == yaml
