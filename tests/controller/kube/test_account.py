"""Where the API server is, as a Pod finds it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.controller.kube.account import Account

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """The files of a service account."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "ca.crt").write_text("certificates")
    return tmp_path


def test_as_a_pod_has_it(mounted: Path) -> None:
    account = Account.mounted(mounted, ENVIRON)
    assert account.server == "https://10.0.0.1:443"
    assert account.token == mounted / "token"
    assert account.authority() == b"certificates"
    (mounted / "ca.crt").write_text("others")
    assert account.authority() == b"others"


def test_an_address_of_ipv6(mounted: Path) -> None:
    environ = {**ENVIRON, "KUBERNETES_SERVICE_HOST": "fd00::1"}
    assert Account.mounted(mounted, environ).server == "https://[fd00::1]:443"


@pytest.mark.parametrize("missing", sorted(ENVIRON))
def test_outside_a_pod(mounted: Path, missing: str) -> None:
    environ = {name: text for name, text in ENVIRON.items() if name != missing}
    with pytest.raises(ValueError, match="within a Pod"):
        Account.mounted(mounted, environ)


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_without_a_token(mounted: Path, missing: str) -> None:
    (mounted / missing).unlink()
    with pytest.raises(ValueError, match=f"{missing} is missing"):
        Account.mounted(mounted, ENVIRON)


def test_authority_of_the_system(tmp_path: Path) -> None:
    assert Account("https://x").authority() == b""
    assert Account("https://x", tmp_path / "gone").authority() == b""


def test_the_library_is_loaded_only_to_connect() -> None:
    code = (
        "import sys, octelium.controller.controller, octelium.controller.kube.account\n"
        "print([name for name in ('httpx', 'httpcore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
