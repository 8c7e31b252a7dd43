from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.cli import exits
from tests.client.secondfactor import PASSWORD, TYPES, SecondFactor
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from tests.cli.runner import Result, Runner
    from tests.client.standin import StandIn


@pytest.fixture(name="second")
def second_fixture(cluster: StandIn, monkeypatch: pytest.MonkeyPatch) -> SecondFactor:
    return SecondFactor(cluster, monkeypatch)


def run(terminal: Runner, *words: str, stdin: str = "") -> Result:
    return terminal("octelium", "auth", "authenticator", *words, stdin=stdin)


def test_listing(terminal: Runner, second: SecondFactor) -> None:
    second.add("totp-a")
    second.add("fido-b", TYPES.FIDO, registered=False)
    result = run(terminal, "list")
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0][:2] == ["NAME", "TYPE"]
    assert lines[1] == ["totp-a", "TOTP", "-", "yes", "-"]
    assert lines[2] == ["fido-b", "FIDO", "-", "no", "-"]
    assert run(terminal, "list", "-o", "name").out == "totp-a\nfido-b\n"
    shown = json.loads(run(terminal, "list", "-o", "json").out)
    assert [one["metadata"]["name"] for one in shown["items"]] == ["totp-a", "fido-b"]
    assert "name: totp-a" in run(terminal, "list", "-o", "yaml").out


def test_creating(terminal: Runner, second: SecondFactor) -> None:
    result = run(terminal, "create", "--name", "My phone", stdin=f"000000\n{PASSWORD}\n")
    assert result.code == 0, result.err
    assert "Key: JBSWY3DPEHPK3PXP" in result.out
    assert "█" in result.out or "▀" in result.out or "\x1b[7m" in result.out
    assert "not the code of this moment" in result.err
    assert "totp-0 is registered" in result.err
    (one,) = second.items
    assert one.status.is_registered
    assert one.spec.display_name == "My phone"


def test_what_cannot_be_registered_is_removed(terminal: Runner, second: SecondFactor) -> None:
    result = run(terminal, "create", stdin="1\n2\n3\n")
    assert result.code == exits.FAILED
    assert "was not registered" in result.err
    assert not second.items


@pytest.mark.parametrize(
    ("kind", "told"), [("fido", "https://lab.test/authenticators"), ("tpm", "no TPM")]
)
def test_other_types(terminal: Runner, second: SecondFactor, kind: str, told: str) -> None:
    result = run(terminal, "create", "--type", kind)
    assert result.code == exits.FAILED
    assert told in result.err
    assert not second.items


def test_other_failures_are_told(terminal: Runner, second: SecondFactor, cluster: StandIn) -> None:
    cluster.failures["RegisterAuthenticatorFinish"] = [RefusedError("INVALID_ARGUMENT", "wait")]
    result = run(terminal, "create", stdin=f"{PASSWORD}\n")
    assert result.code == exits.FAILED
    assert "wait" in result.err
    assert len(second.items) == 1


def test_deleting(terminal: Runner, second: SecondFactor) -> None:
    second.add("totp-a")
    assert run(terminal, "delete", "totp-a").out == "totp-a deleted\n"
    assert not second.items


def test_authenticating(terminal: Runner, second: SecondFactor, cluster: StandIn) -> None:
    second.add("totp-a")
    result = run(terminal, "authenticate", stdin=f"{PASSWORD}\n")
    assert result.code == 0
    assert "Authenticated with totp-a." in result.err
    assert cluster.generation == 2
    assert run(terminal, "authenticate", "totp-a", "--code", PASSWORD).code == 0
    assert run(terminal, "list").code == 0
    wrong = run(terminal, "authenticate", "--code", "000000")
    assert wrong.code == exits.FAILED
    assert cluster.generation == 3


def test_which_one(terminal: Runner, second: SecondFactor) -> None:
    assert "none of your Authenticators" in run(terminal, "authenticate").err
    for name in ("totp-a", "totp-b"):
        second.add(name)
    second.add("fido-c", TYPES.FIDO)
    several = run(terminal, "authenticate", "--code", PASSWORD)
    assert (several.code, several.out) == (exits.FAILED, "")
    assert "totp-a, totp-b" in several.err
    assert run(terminal, "authenticate", "totp-b", "--code", PASSWORD).code == 0
    assert "use a browser" in run(terminal, "authenticate", "fido-c").err
    assert "Authenticator totp-z cannot" in run(terminal, "authenticate", "totp-z").err
