from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.client import admin
from octelium.client.admin import Probe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.runner import Runner


def test_what_became_of_the_request(offline: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def answer(data_dir: str, service: str) -> Probe:
        asked.append((data_dir, service))
        return Probe("https://wiki.lab.test/", 200, 12)

    monkeypatch.setattr(admin, "probe", answer)
    result = offline("octops", "probe", "wiki", "--data-dir", "d")
    said = "https://wiki.lab.test/ answers 200 in 12 ms\n"
    assert (result.code, result.out, result.err) == (0, said, "")
    result = offline("octops", "probe", "--data-dir", "d", "-o", "json")
    assert json.loads(result.out) == {
        "url": "https://wiki.lab.test/",
        "status": 200,
        "milliseconds": 12,
    }
    assert asked == [("d", "wiki"), ("d", "")]


def test_without_a_cluster(offline: Runner, tmp_path: Path) -> None:
    result = offline("octops", "probe", "--data-dir", str(tmp_path))
    assert (result.code, result.out) == (1, "")
    assert "no Cluster runs in" in result.err
