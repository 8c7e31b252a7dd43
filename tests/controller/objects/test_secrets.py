from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from octelium.controller.managed import Opened
from octelium.controller.objects.secrets import fingerprint, registry_login, variables
from tests.controller.objects.samples import managed


def opened(**secrets: bytes) -> dict[str, Opened]:
    return {name: Opened(f"u-{name}", name, data) for name, data in secrets.items()}


def env(*names: str) -> dict[str, Any]:
    return {"env": [{"name": f"V{at}", "fromSecret": name} for at, name in enumerate(names)]}


def login(image: str = "nginx", server: str = "") -> dict[str, Any]:
    password = {"fromSecret": "pw"}
    made = {"username": "u", "password": password, "server": server}
    return {"image": image, "credentials": {"usernamePassword": made}}


def test_values_of_the_environment_by_name_each_once() -> None:
    found, problems = variables(
        managed(env("aa", "bb", "aa"), secrets=opened(aa=b"1", bb="é".encode(), cc=b"3"))
    )
    assert found == {"aa": b"1", "bb": "é".encode()}
    assert problems == []
    assert variables(managed({"env": [{"name": "A", "value": "x"}]}, secrets={})) == ({}, [])


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (None, "SecretMissing", "there is no Secret 'aa': create it"),
        (b"a\0b", "SecretUnusable", "the Secret 'aa' holds a NUL byte"),
        (b"\xff", "SecretUnusable", "the Secret 'aa' is not UTF-8"),
        (b"x" * 131072, "SecretUnusable", "the Secret 'aa' is 131072 bytes long"),
    ],
)
def test_what_no_variable_can_hold(data: bytes | None, reason: str, message: str) -> None:
    secrets = {} if data is None else opened(aa=data)
    _, (problem,) = variables(managed(env("aa"), secrets=secrets))
    assert problem.reason == reason
    assert problem.message.startswith(message)


def test_the_longest_variable() -> None:
    """`V0=…` with the NUL at its end is 128 KiB long."""
    most = 128 * 1024 - len("V0=") - 1
    assert variables(managed(env("aa"), secrets=opened(aa=b"x" * most)))[1] == []
    assert variables(managed(env("aa"), secrets=opened(aa=b"x" * (most + 1))))[1] != []


def test_all_together_fit_into_one_secret_of_kubernetes() -> None:
    names = [f"a{at}" for at in range(9)]
    secrets = opened(**dict.fromkeys(names, b"x" * 120_000))
    assert variables(managed(env(*names[:8]), secrets=secrets))[1] == []
    _, (problem,) = variables(managed(env(*names), secrets=secrets))
    assert "1 MiB" in problem.message


@pytest.mark.parametrize(
    ("image", "server", "key"),
    [
        ("nginx:1.29", "", "https://index.docker.io/v1/"),
        ("library/nginx", "", "https://index.docker.io/v1/"),
        ("ghcr.io/o/x", "docker.io", "https://index.docker.io/v1/"),
        ("nginx", "https://index.docker.io/v1/", "https://index.docker.io/v1/"),
        ("nginx", "registry-1.docker.io", "https://index.docker.io/v1/"),
        ("ghcr.io/o/x:v1", "", "ghcr.io"),
        ("h.test:5000/x", "", "h.test:5000"),
        ("localhost/x", "", "localhost"),
        ("mirror.test/x", "quay.io/team", "quay.io/team"),
    ],
)
def test_the_login_of_a_registry(image: str, server: str, key: str) -> None:
    made, problems = registry_login(managed(login(image, server), secrets=opened(pw="pä".encode())))
    assert problems == []
    assert made is not None
    assert json.loads(made) == {
        "auths": {
            key: {
                "username": "u",
                "password": "pä",
                "auth": base64.b64encode("u:pä".encode()).decode(),
            }
        }
    }


def test_there_may_be_no_login() -> None:
    assert registry_login(managed({}, secrets={})) == (None, [])


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [({}, "SecretMissing"), (opened(pw=b"\xff"), "SecretUnusable")],
)
def test_a_login_without_a_password(secrets: dict[str, Opened], reason: str) -> None:
    made, (problem,) = registry_login(managed(login(), secrets=secrets))
    assert made is None
    assert problem.reason == reason


def test_a_fingerprint_changes_with_names_values_and_salt() -> None:
    contents: list[dict[str, bytes]] = [{}, {"a": b""}, {"a": b"b"}, {"a": b"b", "c": b"d"}]
    found = {
        fingerprint(opened(**one).values(), (uid, config))
        for one in contents
        for uid, config in (("u", ""), ("u", "x"), ("ux", ""))
    }
    assert len(found) == 12
    one, other = opened(a=b"1", b=b"2").values()
    assert fingerprint([one, other], ("u", "")) == fingerprint([other, one], ("u", ""))
    assert fingerprint([one], ("u", "")) != fingerprint([Opened("v", "a", b"1")], ("u", ""))


def test_a_secret_is_stretched_once_for_all_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    stretched = []

    def scrypt(*_: object, salt: bytes, **_more: object) -> bytes:
        stretched.append(salt)
        return salt

    monkeypatch.setattr("hashlib.scrypt", scrypt)
    secrets = [Opened("once", "a", b"of this test"), Opened("too", "b", b"of this test")]
    for config in ("a", "b", "c"):
        fingerprint(secrets, ("u", config))
    assert stretched == [b"once", b"too"]
