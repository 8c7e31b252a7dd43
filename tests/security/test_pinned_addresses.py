"""A CLIENTLESS Session is good for the address it was made from, where addresses can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cluster.conftest import SourceCluster
from tests.cluster.mmdb import database
from tests.e2e.documents import credential, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Api

HOME, AWAY = "192.0.2.7", "198.51.100.9"
PLACES: dict[str, dict[str, Any]] = {
    "192.0.2.0/24": {"country": {"iso_code": "NL", "names": {"en": "The Netherlands"}}},
    "198.51.100.0/24": {"country": {"iso_code": "BE"}},
}
DUTCH = 'ctx.session.status.authentication.info.geoip.country.code == "NL"'


class Lab:
    """A Cluster behind a proxy, which knows where addresses are; `bot` works in one country."""

    def __init__(self, cluster: SourceCluster, api: Api) -> None:
        self.cluster = cluster
        self.api = api
        self.client_id = self.secret = ""

    def create(self, document: dict[str, Any]) -> Any:
        kind = document["kind"]
        return self.api.core(f"Create{kind}", from_json(KINDS[kind].message, document))

    def begin(self) -> None:
        geo = core.Config(data=core.ConfigData(value_bytes=database(PLACES)))
        geo.metadata.name = "geo"
        geo.spec.SetInParent()
        self.api.core("CreateConfig", geo)
        config = self.api.core("GetClusterConfig", core.GetClusterConfigRequest())
        config.spec.ingress.use_forwarded_for_header = True
        config.spec.ingress.xff_num_trusted_hops = 1
        config.spec.authentication.geolocation.mmdb.from_config = "geo"
        self.api.core("UpdateClusterConfig", config)
        abroad = {"effect": "DENY", "condition": {"not": DUTCH}}
        policies = [{"spec": {"rules": [abroad]}}]
        self.create(workload("bot", authorization={"inlinePolicies": policies}))
        self.create(credential("bot-secret", "bot", "OAUTH2"))
        made = self.api.core(
            "GenerateCredentialToken",
            core.GenerateCredentialTokenRequest(
                credential_ref=meta.ObjectReference(name="bot-secret")
            ),
        )
        self.client_id = made.oauth2_credentials.client_id
        self.secret = made.oauth2_credentials.client_secret

    def sign_in(self, forwarded: str) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.secret,
        }
        with self.cluster.http(headers={"X-Forwarded-For": forwarded}) as http:
            reply = http.post(self.cluster.url("", "/oauth2/token"), data=form)
        assert reply.status_code == 200
        return str(reply.json()["access_token"])

    def opens(self, token: str, forwarded: str) -> bool:
        headers = {"X-Forwarded-For": forwarded, "Authorization": f"Bearer {token}"}
        with self.cluster.http(headers=headers) as http:
            status = http.get(self.cluster.url("demo-nginx")).status_code
        assert status in (200, 401, 403)
        return status == 200

    def log(self, **wanted: str) -> list[ext.AuthenticationLogEntry]:
        reply = self.api.call(
            ext,
            "ListAuthenticationLog",
            ext.ListAuthenticationLogRequest(**wanted),  # type: ignore[arg-type]  # texts alone
            x_octelium_auth=self.api.access_token,
        )
        return list(reply.items)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    cluster = SourceCluster(tmp_path_factory.mktemp("lab"), workers=1)
    try:
        cluster.start()
        made = Lab(cluster, cluster.api())
        made.begin()
        yield made
    finally:
        cluster.remove()


def test_a_token_works_from_where_it_was_made(lab: Lab) -> None:
    token = lab.sign_in(HOME)
    assert lab.opens(token, HOME)
    assert not lab.opens(token, AWAY)
    assert not lab.opens(token, "192.0.2.8")
    # What clients write before the proxy's own entry proves nothing.
    assert not lab.opens(token, f"{HOME}, {AWAY}")
    assert lab.opens(token, f"{AWAY}, {HOME}")


def test_policies_know_where_somebody_signed_in(lab: Lab) -> None:
    token = lab.sign_in(AWAY)
    assert not lab.opens(token, AWAY)
    assert not lab.opens(token, HOME)


def test_the_authentication_log_tells_from_where(lab: Lab) -> None:
    lab.sign_in(AWAY)
    entry = lab.log(user="bot", outcome="succeeded")[0]
    assert (entry.way, entry.client_address, entry.country) == ("client secret", AWAY, "BE")
    assert entry.credential.name == "bot-secret"
    with lab.cluster.http(headers={"X-Forwarded-For": HOME}) as http:
        form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}
        refused = http.post(lab.cluster.url("", "/oauth2/token"), data=form)
    assert refused.status_code == 401
    entry = lab.log(outcome="refused")[0]
    assert (entry.code, entry.client_address) == ("UNAUTHENTICATED", HOME)
    assert entry.operation == "oauth2/token"
    assert entry.reason
    assert not entry.HasField("user")
