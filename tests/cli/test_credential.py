from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from tests.cli.runner import Runner, resource
from tests.client.standin import NOW

if TYPE_CHECKING:
    from tests.client.standin import StandIn


def test_a_credential_and_its_token(cluster: StandIn, terminal: Runner) -> None:
    result = terminal.ctl("create", "credential", "--user", "ann")
    assert (result.code, result.out) == (0, "Authentication Token: an-authentication-token\n")
    ((_, name),) = cluster.objects
    assert name.startswith("ann-auth-token-")
    assert result.err == f"credential/{name} created\n"
    spec = cluster.objects["Credential", name].spec
    assert (spec.user, spec.session_type) == ("ann", core.SessionStatusType__.CLIENT)
    reference = cluster.calls[-1].request.credential_ref
    assert (reference.name, reference.kind) == (name, "Credential")
    assert reference.uid == cluster.objects["Credential", name].metadata.uid


def test_a_credential_with_everything(cluster: StandIn, terminal: Runner) -> None:
    words = "ci --user ci --type oauth2 --expire-in 30days --max-authn 5 --policy a,b --policy c"
    result = terminal.ctl("create", "credential", *words.split(), "-o", "json")
    assert json.loads(result.out) == {
        "oauth2Credentials": {"clientID": "abcd-1234", "clientSecret": "oauth2-secret"}
    }
    spec = cluster.objects["Credential", "ci"].spec
    assert spec.type == core.CredentialSpecType__.OAUTH2
    assert spec.session_type == core.SessionStatusType__.CLIENTLESS
    assert spec.expires_at.seconds == int(NOW) + 30 * 86400
    assert spec.max_authentications == 5
    assert list(spec.authorization.policies) == ["a", "b", "c"]


def test_only_the_token(terminal: Runner) -> None:
    result = terminal.ctl(
        "create", "credential", "c", "--user", "x", "--type", "access-token", "-o", "token"
    )
    assert result.out == "an-access-token\n"


def test_another_token_for_a_credential(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Credential", "ci", spec={"type": "OAUTH2", "user": "ci"}))
    out = terminal.works("create", "credential", "ci", "--rotate")
    assert out == "Client ID: abcd-1234\nClient Secret: oauth2-secret\n"
    assert "CreateCredential" not in cluster.methods()
    assert terminal.ctl("create", "credential", "--rotate").code == 2
    assert terminal.ctl("create", "credential", "x").code == 2
    assert terminal.ctl("create", "credential", "--user", "x", "--expire-in", "soon").code == 2


def test_one_time(cluster: StandIn, terminal: Runner) -> None:
    terminal.ctl("create", "credential", "c", "--user", "ann", "--one-time")
    assert cluster.objects["Credential", "c"].spec.max_authentications == 1
