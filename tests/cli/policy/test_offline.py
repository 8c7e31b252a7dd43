from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.cli.policy.offline import Offline
from octelium.cli.policy.requests import read_request
from octelium.cli.policy.suite import Who
from octelium.cli.policy.world import World
from octelium.schema.documents import parse_documents
from octelium.schema.errors import Invalid
from tests.cli.policy.explanations import case

if TYPE_CHECKING:
    from octelium.schema.pb import ext_v1_pb2 as ext

NOW = 1_800_000_000.0
FILES = """\
kind: Service
metadata: {name: wiki}
spec:
  mode: HTTP
  isPublic: true
  config: {upstream: {url: "http://127.0.0.1:1"}}
  dynamicConfig:
    configs: [{name: blue, upstream: {url: "http://127.0.0.1:2"}}]
    rules:
      - {configName: blue, condition: {match: 'ctx.request.http.path == "/blue"'}}
  authorization:
    inlinePolicies:
      - name: own
        spec:
          rules:
            - name: afternoons
              effect: ALLOW
              condition:
                match: >-
                  ctx.user.spec.type == "HUMAN" &&
                  ctx.request.http.method == "GET" && now().getHours() >= 12
            - {name: sure, effect: ALLOW, condition: {match:
                ctx.session.status.authentication.info.aal == "AAL3"}}
            - {name: laptops, effect: ALLOW, condition: {match:
                ctx.device.status.osType == "LINUX"}}
            - name: rego
              effect: ALLOW
              condition:
                opa:
                  inline: |
                    package octelium.condition
                    match if input.ctx.request.http.path == "/rego"
---
kind: Service
metadata: {name: db}
spec:
  mode: TCP
  config: {upstream: {url: "tcp://127.0.0.1:1"}}
  authorization: {policies: [allow-all]}
---
kind: User
metadata: {name: ann}
spec: {type: HUMAN}
---
kind: User
metadata: {name: robot}
spec: {type: WORKLOAD}
---
kind: Credential
metadata: {name: key}
spec:
  type: OAUTH2
  user: robot
  sessionType: CLIENTLESS
  authorization: {policies: [allow-all]}
"""
NOON = 1_800_100_000.0 // 86400 * 86400 + 12 * 3600


@pytest.fixture(scope="module")
def offline() -> Offline:
    return Offline(World(parse_documents(FILES, "f.yaml"), NOW), NOW)


def told(offline: Offline, request: Any = "GET /", **fields: Any) -> ext.Explanation:
    read = None
    if request is not None:
        read, problems = read_request(request)
        assert not problems
    return offline.explain(case(request=read, **fields))


def test_users_and_the_time(offline: Offline) -> None:
    assert told(offline, at=NOON).outcome == "ALLOWED"
    assert told(offline, at=NOON - 3600).outcome == "DENIED"
    assert told(offline, at=NOON, request="POST /").outcome == "DENIED"
    assert told(offline, at=NOON, who=Who("robot", user="robot")).outcome == "DENIED"
    assert told(offline).at.seconds == NOW


def test_sessions_devices_and_credentials(offline: Offline) -> None:
    sure = {"status": {"authentication": {"info": {"aal": "AAL3"}}}}
    assert told(offline, who=Who("r", user="robot", session=sure)).outcome == "ALLOWED"
    laptop = Who("r", user="robot", device={"status": {"osType": "LINUX"}})
    assert told(offline, who=laptop).outcome == "ALLOWED"
    assert told(offline, who=Who("key", credential="key")).outcome == "ALLOWED"
    locked = {"status": {"isLocked": True}}
    assert told(offline, at=NOON, who=Who("ann", user="ann", session=locked)).outcome == "DENIED"


def test_rego(offline: Offline) -> None:
    robot = Who("robot", user="robot")
    told_of = told(offline, request="GET /rego", who=robot)
    assert told_of.outcome == "ALLOWED"
    assert [rule.name for rule in told_of.rules if rule.decided] == ["rego"]
    assert told(offline, request="GET /other", who=robot).outcome == "DENIED"


def test_nobody(offline: Offline) -> None:
    assert told(offline, who=Who("anonymous")).outcome == "UNAUTHENTICATED"


def test_the_configuration(offline: Offline) -> None:
    assert told(offline, at=NOON, request="GET /blue").config == "blue"
    assert told(offline, at=NOON).config == "default"


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        ("GET /x/../blue", "ALLOWED"),
        ("GET //blue", "BAD_REQUEST"),
        ("GET /a%2fb", "BAD_REQUEST"),
        ("GET /a/..%2fb", "BAD_REQUEST"),
        ({"path": "/", "headers": {"a": ["1", "2"]}}, "ALLOWED"),
    ],
)
def test_requests_are_read_as_the_proxy_reads_them(
    offline: Offline, request_: Any, outcome: str
) -> None:
    explanation = told(offline, request=request_, at=NOON)
    assert explanation.outcome == outcome
    assert explanation.config == {"GET /x/../blue": "blue"}.get(
        str(request_), "default" if outcome == "ALLOWED" else ""
    )


def test_requests_are_those_of_the_mode(offline: Offline) -> None:
    assert told(offline, request=None, at=NOON).outcome == "ALLOWED"
    assert told(offline, request=None, service="db").outcome == "ALLOWED"
    with pytest.raises(Invalid, match="mode TCP"):
        told(offline, service="db.default")
    with pytest.raises(Invalid, match="not ssh:"):
        told(offline, request={"ssh": {"connect": {"user": "x"}}})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"service": "wki"}, "no Service wki"),
        ({"who": Who("anna", user="anna")}, "no User anna"),
        ({"who": Who("k", credential="k")}, "no Credential k"),
        ({"who": Who("ann", user="ann", session={"metadata": {"uid": "x"}})}, "cannot be supposed"),
    ],
)
def test_what_cannot_be_asked(offline: Offline, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        told(offline, **fields)
