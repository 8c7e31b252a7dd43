from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client import admin
from octelium.client.admin import NewToken

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner


@pytest.mark.parametrize(
    ("made", "command"),
    [
        (
            NewToken("T", "lab.test", "127.0.0.1:8443", "-----BEGIN CERTIFICATE-----"),
            (
                "octelium login --domain lab.test --endpoint 127.0.0.1:8443 "
                "--ca-file 'a dir/ca.pem' --auth-token T\n"
            ),
        ),
        (
            NewToken("T", "lab.test", "", "/x/ca.pem"),
            "octelium login --domain lab.test --ca-file /x/ca.pem --auth-token T\n",
        ),
        (
            NewToken("T", "example.com", "", ""),
            "octelium login --domain example.com --auth-token T\n",
        ),
    ],
)
def test_the_login_that_it_makes_possible(
    offline: Runner, monkeypatch: pytest.MonkeyPatch, made: NewToken, command: str
) -> None:
    asked: list[str] = []

    def answer(data_dir: str) -> NewToken:
        asked.append(data_dir)
        return made

    monkeypatch.setattr(admin, "new_token", answer)
    result = offline("octops", "token", "--data-dir", "a dir/")
    assert (result.code, result.out, result.err) == (0, command, "")
    assert asked == ["a dir/"]


def test_without_a_cluster(offline: Runner, tmp_path: Path) -> None:
    result = offline("octops", "token", "--data-dir", str(tmp_path))
    assert (result.code, result.out) == (1, "")
    assert "no Cluster runs in" in result.err
    assert offline("octops", "token").code == 2


def test_help_says_whom_it_is_for(offline: Runner) -> None:
    said = " ".join(offline("octops", "token", "--help").out.split())
    assert "For the owner of the machine who has lost the way in." in said
