from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client import admin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import Authority


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | bool, ...]]:
    calls: list[tuple[str | bool, ...]] = []

    def install(*arguments: str, force: bool) -> None:
        calls.append((*arguments, force))

    monkeypatch.setattr(admin, "install_certificate", install)
    monkeypatch.setattr(admin, "use_own_certificate", lambda *words: calls.append(words))
    return calls


@pytest.fixture
def operator(offline: Runner, authority: Authority, tmp_path: Path) -> Runner:
    certificate, key = authority.issue("lab.test", "*.lab.test", days=3650)
    (tmp_path / "chain.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    return offline


def test_the_pair_is_checked_and_handed_over(
    operator: Runner, installed: list[tuple[str | bool, ...]], tmp_path: Path
) -> None:
    words = "cert lab.test --cert chain.pem --key key.pem --data-dir DIR"
    result = operator("octops", *words.split())
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("lab.test, Namespace default: certificate replaced, valid until ")
    ((data_dir, domain, namespace, chain, key, force),) = installed
    assert (data_dir, domain, namespace, force) == ("DIR", "lab.test", "default", False)
    assert chain == (tmp_path / "chain.pem").read_text()
    assert key == (tmp_path / "key.pem").read_text()


def test_the_clusters_own_again(operator: Runner, installed: list[tuple[str | bool, ...]]) -> None:
    result = operator("octops", "cert", "lab.test", "--own", "--data-dir", "DIR")
    assert (result.code, result.out) == (0, "")
    assert result.err == "lab.test, Namespace default: the Cluster's own certificate.\n"
    assert installed == [("DIR", "lab.test", "default")]


@pytest.mark.parametrize("words", ["", "--own --force", "--own --cert chain.pem", "--cert c"])
def test_which_certificate_must_be_clear(
    operator: Runner, installed: list[tuple[str | bool, ...]], words: str
) -> None:
    result = operator("octops", "cert", "lab.test", "--data-dir", "DIR", *words.split())
    assert (result.code, installed) == (2, [])


def test_names_that_it_does_not_cover(
    operator: Runner, installed: list[tuple[str | bool, ...]]
) -> None:
    words = "crt lab.test --namespace prod --cert chain.pem --key key.pem --data-dir DIR --force"
    result = operator("octops", *words.split())
    assert result.code == 0
    assert "Warning: the certificate does not cover *.prod.lab.test\n" in result.err
    assert [call[-1] for call in installed] == [True]


def test_a_pair_that_cannot_serve_is_not_sent(
    operator: Runner, installed: list[tuple[str | bool, ...]], authority: Authority, tmp_path: Path
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
