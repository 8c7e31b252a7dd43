from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client import admin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import Authority


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []

    def install(*arguments: str) -> None:
        calls.append(arguments)

    monkeypatch.setattr(admin, "install_certificate", install)
    return calls


@pytest.fixture
def operator(offline: Runner, authority: Authority, tmp_path: Path) -> Runner:
    certificate, key = authority.issue("lab.test", "*.lab.test", days=3650)
    (tmp_path / "chain.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    return offline


def test_the_pair_is_checked_and_handed_over(
    operator: Runner, installed: list[tuple[str, ...]], tmp_path: Path
) -> None:
    words = "cert lab.test --cert chain.pem --key key.pem --data-dir DIR"
    result = operator("octops", *words.split())
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("lab.test, Namespace default: certificate replaced, valid until ")
    ((data_dir, namespace, chain, key),) = installed
    assert (data_dir, namespace) == ("DIR", "default")
    assert chain == (tmp_path / "chain.pem").read_text()
    assert key == (tmp_path / "key.pem").read_text()


def test_names_that_it_does_not_cover(operator: Runner, installed: list[tuple[str, ...]]) -> None:
    words = "crt lab.test --namespace prod --cert chain.pem --key key.pem --data-dir DIR"
    result = operator("octops", *words.split())
    assert result.code == 0
    assert "Warning: the certificate does not cover *.prod.lab.test\n" in result.err
    assert len(installed) == 1


def test_a_pair_that_cannot_serve_is_not_sent(
    operator: Runner, installed: list[tuple[str, ...]], authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_bytes(authority.issue("lab.test")[1])
    words = "cert lab.test --cert chain.pem --key key.pem --data-dir DIR"
    result = operator("octops", *words.split())
    assert result.code == 1
    assert "the key does not belong" in result.err
    assert installed == []


def test_the_data_directory_is_needed(operator: Runner, tmp_path: Path) -> None:
    words = "cert lab.test --cert chain.pem --key key.pem"
    assert operator("octops", *words.split()).code == 2
    result = operator("octops", *words.split(), "--data-dir", str(tmp_path))
    assert result.code == 1
    assert "no Cluster runs in" in result.err
