from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.runner import Runner, resource
from tests.client.standin import NOW, RefusedError, StandIn

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture
def credential(cluster: StandIn) -> Any:
    made = cluster.add(resource("Credential", "c-1", spec={"user": "ann"}))
    cluster.add(resource("Credential", "c-2", spec={"user": "ann"}))
    return made


def session(cluster: StandIn, name: str, credential: Any, state: str = "ACTIVE") -> Any:
    made = cluster.add(resource("Session", name, spec={"state": state}))
    made.status.user_ref.name = "ann"
    made.status.credential_ref.uid = credential.metadata.uid
    return made


def test_those_that_go_on_are_named(cluster: StandIn, terminal: Runner, credential: Any) -> None:
    session(cluster, "ann-1", credential)
    session(cluster, "ann-2", credential)
    session(cluster, "ann-3", credential, "REJECTED")
    session(cluster, "ann-4", cluster.objects["Credential", "c-2"])
    session(cluster, "ann-5", credential).spec.expires_at.FromSeconds(int(NOW) - 1)
    result = terminal.ctl("delete", "credential", "c-1")
    assert (result.code, result.out) == (0, "credential/c-1 deleted\n")
    assert result.err == "2 Sessions made from it go on: octeliumctl delete session ann-1 ann-2\n"


def test_many_are_counted(cluster: StandIn, terminal: Runner, credential: Any) -> None:
    for number in range(7):
        session(cluster, f"ann-{number}", credential)
    result = terminal.ctl("delete", "credential", "c-1")
    assert result.err.startswith("7 Sessions")
    assert result.err.endswith(" ann-4 ...\n")


def test_nothing_is_said_of_none(terminal: Runner, credential: Any) -> None:
    assert terminal.works("delete", "credential", "c-1") == "credential/c-1 deleted\n"


def test_who_may_not_list_them(cluster: StandIn, terminal: Runner, credential: Any) -> None:
    cluster.failures["ListSession"] = [RefusedError("PERMISSION_DENIED", "no")]
    result = terminal.ctl("delete", "credential", "c-1")
    assert (result.code, result.err) == (0, "Sessions made from it, if there are any, go on.\n")


@pytest.fixture
def provider(cluster: StandIn) -> Any:
    made = cluster.add(resource("IdentityProvider", "okta", spec={"github": {}}))
    identities = [{"identityProvider": "okta", "identifier": "1"}]
    for name, at in (("ann", identities), ("bob", []), ("cleo", identities)):
        cluster.add(resource("User", name, spec={"authentication": {"identities": at}}))
    return made


def begun(cluster: StandIn, name: str, provider: Any) -> None:
    info = cluster.add(resource("Session", name)).status.initial_authentication.info
    info.identity_provider.identity_provider_ref.uid = provider.metadata.uid


def test_what_stays_of_an_identity_provider(
    cluster: StandIn, terminal: Runner, provider: Any
) -> None:
    begun(cluster, "ann-1", provider)
    begun(cluster, "bob-1", cluster.objects["User", "bob"])
    result = terminal.ctl("delete", "identityprovider", "okta")
    assert (result.code, result.out) == (0, "identityprovider/okta deleted\n")
    assert result.err == (
        "1 Session made from it goes on: octeliumctl delete session ann-1\n"
        "Identities that point to it have no use any more: ann, cleo\n"
    )


def test_who_may_not_list_what_stays(cluster: StandIn, terminal: Runner, provider: Any) -> None:
    assert provider is not None
    cluster.failures["ListSession"] = [RefusedError("PERMISSION_DENIED", "no")]
    result = terminal.ctl("delete", "identityprovider", "okta")
    assert result.code == 0
    assert result.err.endswith("Sessions made from it, if there are any, go on.\n")
