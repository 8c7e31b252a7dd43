from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.api import Api, FixedToken
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.relations import Neighbourhood, secret_names, users_of
from octelium.client.resources import Resources
from octelium.client.settings import Target
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from tests.client.standin import DOMAIN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

FROM_SECRET = {"auth": {"bearer": {"fromSecret": "key"}}}


def resource(kind: str, name: str, **spec: Any) -> Any:
    return from_json(KINDS[kind].message, {"kind": kind, "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def around(cluster: StandIn) -> Iterator[Neighbourhood]:
    cluster.new_session()
    for item in (
        resource("Namespace", "default", authorization={"policies": ["all"]}),
        resource("Policy", "all"),
        resource("Policy", "eu.all"),
        resource("Group", "ops", authorization={"policies": ["eu.all"]}),
        resource("User", "ann", type="HUMAN", groups=["ops", "gone"]),
        resource("User", "bob", type="WORKLOAD"),
        resource("Secret", "key"),
        resource(
            "Service",
            "wiki",
            mode="HTTP",
            isPublic=True,
            config={"http": FROM_SECRET},
            authorization={"policies": ["all", "lost"], "inlinePolicies": [{"name": "own"}]},
        ),
        resource("Credential", "c-1", user="ann"),
    ):
        cluster.add(item)
    session = cluster.add(resource("Session", "ann-1"))
    session.status.user_ref.name = "ann"
    session.status.credential_ref.name = "c-1"
    credential = cluster.objects["Credential", "c-1"]
    credential.status.user_ref.name = "ann"
    session.status.credential_ref.uid = credential.metadata.uid
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        api = Api(channel, FixedToken("access-1"), sleep=lambda _: None)
        yield Neighbourhood(Resources(api.core), DOMAIN)


def related(cluster: StandIn, around: Neighbourhood, kind: str, name: str) -> dict[str, list[str]]:
    return dict(around.of(KINDS[kind], cluster.objects[kind, name]))


def test_a_service(cluster: StandIn, around: Neighbourhood) -> None:
    assert related(cluster, around, "Service", "wiki.default") == {
        "Host names": ["wiki.lab.test", "wiki.default.lab.test"],
        "Namespace": ["default"],
        "Policies of the Namespace": ["all"],
        "Policies": ["all", "lost (missing)"],
        "Inline policies": ["own"],
        "Secrets": ["key"],
    }


def test_a_user_and_what_follows(cluster: StandIn, around: Neighbourhood) -> None:
    assert related(cluster, around, "User", "ann") == {
        "Groups": ["ops", "gone (missing)"],
        "Policies of the Groups": ["eu.all"],
        "Credentials": ["c-1"],
        "Sessions": ["ann-1"],
    }
    assert related(cluster, around, "Session", "ann-1") == {
        "User": ["ann"],
        "Credential": ["c-1"],
    }
    assert related(cluster, around, "Credential", "c-1") == {
        "User": ["ann"],
        "Sessions": ["ann-1"],
    }
    assert related(cluster, around, "Group", "ops") == {
        "Policies": ["eu.all"],
        "Members": ["ann"],
    }


def test_who_uses_it(cluster: StandIn, around: Neighbourhood) -> None:
    assert related(cluster, around, "Policy", "all") == {
        "Children": ["eu.all"],
        "Attached to services": ["wiki.default"],
        "Attached to namespaces": ["default"],
    }
    assert related(cluster, around, "Policy", "eu.all") == {
        "Parent": ["all"],
        "Attached to groups": ["ops"],
    }
    assert related(cluster, around, "Secret", "key") == {"Used by services": ["wiki.default"]}
    assert related(cluster, around, "Namespace", "default") == {
        "Policies": ["all"],
        "Services": ["wiki.default"],
    }


def test_each_kind_is_listed_once(cluster: StandIn, around: Neighbourhood) -> None:
    related(cluster, around, "Policy", "all")
    lists = [method for method in cluster.methods() if method.startswith("List")]
    assert len(lists) == len(set(lists))


def test_what_one_may_not_list_is_left_out(cluster: StandIn, around: Neighbourhood) -> None:
    cluster.failures["ListGroup"] = [RefusedError("PERMISSION_DENIED", "no")]
    found = related(cluster, around, "User", "ann")
    assert found["Groups"] == ["ops", "gone"]
    assert around.hidden == ["groups"]


def test_other_failures_are_told(cluster: StandIn, around: Neighbourhood) -> None:
    cluster.failures["ListGroup"] = [RefusedError("INTERNAL", "no")]
    with pytest.raises(ApiError):
        related(cluster, around, "User", "ann")


def test_secrets_are_found_wherever_they_stand() -> None:
    service = resource("Service", "wiki", dynamicConfig={"configs": [{"http": FROM_SECRET}] * 2})
    assert secret_names(service) == ["key"]
    assert secret_names(resource("User", "ann")) == []


def test_users_of_what_is_referred_to(cluster: StandIn, around: Neighbourhood) -> None:
    assert users_of(around, KINDS["Secret"], "key") == [("Service", "wiki.default")]
    assert users_of(around, KINDS["Policy"], "eu.all") == [("Group", "ops")]
    assert users_of(around, KINDS["Policy"], "none") == []
    geolocation = {"mmdb": {"fromConfig": "places"}}
    cluster.add(resource("ClusterConfig", "default", authentication={"geolocation": geolocation}))
    places = cluster.add(resource("Config", "places"))
    fresh = Neighbourhood(around._resources, DOMAIN)
    assert users_of(fresh, KINDS["Config"], "places") == [("ClusterConfig", "default")]
    used = dict(fresh.of(KINDS["Config"], places))
    assert list(used.values()) == [["default"]]
