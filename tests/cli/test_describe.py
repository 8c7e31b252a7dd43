from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from tests.client.standin import StandIn

EXPECTED = """\
Name:          wiki.default
Kind:          Service
UID:           00000000-0000-4000-8000-000000000003
Display name:  The \\x1b[2JWiki
Created:       2027-01-15T05:00:00.000Z (3h ago)
By:            Session root-1, core.v1/CreateService
Labels:        a=1, b=2

Spec:
  mode: HTTP
  isPublic: true
  config:
    upstream:
      url: http://10.0.0.5:8080
    http:
      auth:
        bearer:
          fromSecret: key
  authorization:
    policies:
    - staff
    - lost

Status:
  namespaceRef: default

Related:
  Host names:  wiki.lab.test, wiki.default.lab.test
  Namespace:   default
  Policies:    staff, lost (missing)
  Secrets:     key (missing)
"""

SPEC = {
    "mode": "HTTP",
    "isPublic": True,
    "config": {
        "upstream": {"url": "http://10.0.0.5:8080"},
        "http": {"auth": {"bearer": {"fromSecret": "key"}}},
    },
    "authorization": {"policies": ["staff", "lost"]},
}


@pytest.fixture
def wiki(cluster: StandIn, terminal: Runner) -> Runner:
    cluster.add(resource("Namespace", "default"))
    cluster.add(resource("Policy", "staff"))
    service = cluster.add(resource("Service", "wiki", spec=SPEC))
    service.metadata.display_name = "The \x1b[2JWiki"
    service.metadata.labels.update({"b": "2", "a": "1"})
    service.metadata.actor_ref.name = "root-1"
    service.status.namespace_ref.kind = "Namespace"
    service.metadata.actor_operation = "core.v1/CreateService"
    return terminal


def test_a_service_in_sections(wiki: Runner) -> None:
    def unordered(text: str) -> list[str]:
        return sorted(text.splitlines())

    out = wiki.works("describe", "service", "wiki")
    assert unordered(out) == unordered(EXPECTED)
    assert out.split("\nSpec:\n")[0] == EXPECTED.split("\nSpec:\n")[0]
    assert out.split("\nRelated:\n")[1] == EXPECTED.split("\nRelated:\n")[1]


def test_several(cluster: StandIn, wiki: Runner) -> None:
    cluster.add(resource("Policy", "guests"))
    out = wiki.works("describe", "policy", "staff", "guests")
    assert out.count("Kind:") == 2
    assert "\n\nName:" in out


def test_long_lists_have_a_line_each(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Group", "ops"))
    for number in range(6):
        cluster.add(resource("User", f"user-{number}", spec={"groups": ["ops"]}))
    out = terminal.works("describe", "group", "ops")
    assert "  Members (6):\n    user-0\n    user-1\n" in out


def test_what_one_may_not_see_is_said(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Group", "ops"))
    cluster.failures["ListUser"] = [RefusedError("PERMISSION_DENIED", "no")]
    result = terminal.ctl("describe", "group", "ops")
    assert (result.code, result.err) == (0, "Left out, since you may not list them: users.\n")


def test_the_singleton_and_names_that_are_missing(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("ClusterConfig", "default"))
    assert "Kind:          ClusterConfig" in terminal.works("describe", "cc")
    assert terminal.ctl("describe", "user").code == 2
    result = terminal.ctl("describe", "user", "none")
    assert (result.code, result.out) == (1, "")


def test_the_containers_of_a_service(cluster: StandIn, wiki: Runner) -> None:
    upstream = {"container": {"image": "nginx", "port": 80}}
    cluster.add(
        resource("Service", "boxed", spec={"mode": "HTTP", "config": {"upstream": upstream}})
    )
    reply = ext.ListContainersResponse(has_controller=True)
    reply.items.add().containers.add(ready=True, desired=1, ready_replicas=1, image="nginx")
    cluster.insight["ListContainers"] = reply
    out = wiki.works("describe", "service", "boxed")
    assert "\n\nContainers:\n  default: ready, 1 of 1 replica\n    Image:     nginx\n" in out
    assert "Containers:" not in wiki.works("describe", "service", "wiki")
    # Another implementation tells nothing of them.
    del cluster.insight["ListContainers"]
    cluster.failures["ListContainers"] = [RefusedError("UNIMPLEMENTED", "unknown method")]
    result = wiki.ctl("describe", "service", "boxed")
    assert (result.code, result.err) == (0, "")
    assert "Containers:" not in result.out
    cluster.failures["ListContainers"] = [RefusedError("PERMISSION_DENIED", "no")]
    assert "may not list them: containers" in wiki.ctl("describe", "service", "boxed").err
