from __future__ import annotations

import textwrap

import pytest

from octelium.cli.policy.world import World
from octelium.schema.documents import parse_documents
from octelium.schema.errors import DocumentError, InvalidDocuments

NOW = 1_800_000_000.0


def world(text: str = "") -> World:
    return World(parse_documents(textwrap.dedent(text), "f.yaml"), NOW)


def errors_of(text: str) -> list[DocumentError]:
    with pytest.raises(InvalidDocuments) as caught:
        world(text)
    return caught.value.errors


def test_a_world_begins_as_every_cluster() -> None:
    replica = world().replica()
    assert replica.loaded
    assert set(replica.namespaces_by_name) == {"default", "octelium", "octelium-api"}
    assert "allow-all" in replica.policies_by_name
    assert "portal.default" in replica.service_by_name
    assert replica.users_by_name["root"].message.metadata.uid
    assert replica.cluster_config is not None


def test_resources_are_completed_whatever_their_order() -> None:
    made = world(
        """\
        kind: Service
        metadata: {name: wiki}
        spec:
          mode: HTTP
          authorization: {policies: [eu.staff]}
          config: {upstream: {url: "http://127.0.0.1:1"}}
        ---
        kind: Policy
        metadata: {name: eu.staff}
        spec: {rules: [{effect: ALLOW, condition: {matchAny: true}}]}
        ---
        kind: Policy
        metadata: {name: staff}
        spec: {}
        ---
        kind: ClusterConfig
        metadata: {name: default}
        spec: {authorization: {policies: [staff]}}
        """
    )
    replica = made.replica()
    service = replica.service_by_name["wiki.default"].message
    assert service.status.namespace_ref.uid == replica.namespaces_by_name["default"].uid
    assert service.status.port == 1
    assert replica.policies_by_name["eu.staff"].message.status.parent_policy_ref.name == "staff"
    assert len(replica.triggers) == 1
    assert [document.kind.name for document, _ in made.documents] == [
        "Policy",
        "Policy",
        "Service",
        "ClusterConfig",
    ]
    assert made.get("Service", "wiki.default") is made.documents[2][1]
    assert made.get("Service", "wiki") is None


def test_what_every_cluster_begins_with_may_be_declared_anew() -> None:
    made = world(
        """\
        kind: Policy
        metadata: {name: allow-all}
        spec: {isDisabled: true}
        ---
        kind: Service
        metadata: {name: demo-nginx}
        spec: {mode: WEB, config: {upstream: {url: "http://127.0.0.1:1"}}}
        """
    ).replica()
    assert made.policies_by_name["allow-all"].message.spec.is_disabled
    assert len([name for name in made.service_by_name if name.startswith("demo-nginx")]) == 1


def test_secrets_that_are_kept_elsewhere_are_taken_to_be_there() -> None:
    service = """\
        kind: Service
        metadata: {name: wiki}
        spec:
          mode: HTTP
          config:
            upstream: {url: "http://127.0.0.1:1"}
            http: {auth: {bearer: {fromSecret: elsewhere}}}
        """
    made = world(service).replica()
    assert "wiki.default" in made.service_by_name
    assert made.secrets == {}


def test_everything_the_api_would_refuse_is_refused() -> None:
    errors = errors_of(
        """\
        kind: Policy
        metadata: {name: one}
        spec: {rules: [{effect: ALLOW, condition: {match: "ctx.user ="}}]}
        ---
        kind: Policy
        metadata: {name: none.two}
        spec: {}
        ---
        kind: Policy
        metadata: {name: X}
        spec: {}
        """
    )
    assert [(error.line, error.path) for error in errors] == [
        (3, "Policy one: spec.rules[0].condition.match"),
        (10, "Policy X: metadata.name"),
        (6, "Policy none.two: metadata.name"),
    ]
    [error] = errors_of("kind: User\nmetadata: {name: ann}\nspec: {type: HUMAN, groups: [none]}")
    assert error.path == "User ann: spec.groups[0]"
    [error] = errors_of(
        "kind: Secret\nmetadata: {name: crt-ns-default}\nspec: {}\ndata: {value: x}"
    )
    assert "own" in error.problem


def test_labels_find_resources() -> None:
    made = world("kind: User\nmetadata: {name: ann}\nspec: {type: HUMAN, email: ann@example.com}")
    user = made.get("User", "ann")
    assert user is not None
    [(label, value)] = user.metadata.spec_labels.items()
    assert list(made.labelled("User", label, value)) == [user]
    assert list(made.labelled("User", label, "other")) == []
    assert user in list(made.list("User"))
    assert list(made.list("Device")) == []


def test_an_email_belongs_to_one_user() -> None:
    user = "kind: User\nmetadata: {{name: {}}}\nspec: {{type: HUMAN, email: a@example.com}}\n"
    [error] = errors_of(f"{user.format('ann')}---\n{user.format('bob')}")
    assert error.path.startswith("User bob")
