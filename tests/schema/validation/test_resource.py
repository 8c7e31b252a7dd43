from __future__ import annotations

import time

import pytest

from octelium.schema.documents import parse_documents
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json, to_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.validation import complete, validate, validate_config
from tests.schema.validation.world import BASE, World, service

MINIMAL = r"""
kind: Policy
metadata: {name: staff}
spec:
  attrs: {domains: [acme.test]}
  rules:
    - name: mail
      effect: ALLOW
      priority: 1
      condition: {match: 'ctx.user.spec.email.split("@")[1] in attrs.domains'}
    - effect: DENY
      condition:
        all:
          of:
            - {not: 'ctx.session.status.type == "CLIENT"'}
            - {match: 'ctx.request.http.path.startsWith("/admin")'}
  enforcementRules:
    - {effect: IGNORE, condition: {match: 'ctx.service.spec.mode == "DNS"'}}
---
kind: Policy
metadata: {name: eu.staff}
spec:
  rules:
    - effect: DENY
      priority: -2
      condition:
        opa:
          inline: |
            package octelium.condition
            match if input.ctx.user.spec.info.country != "DE"
---
kind: Group
metadata: {name: ops}
spec: {authorization: {policies: [eu.staff]}}
---
kind: User
metadata: {name: alice}
spec: {type: HUMAN, email: alice@acme.test, groups: [ops]}
---
kind: User
metadata: {name: ci}
spec: {type: WORKLOAD, session: {accessTokenDuration: {hours: 12}, maxPerUser: 3}}
---
kind: Namespace
metadata: {name: prod}
spec: {}
---
kind: Service
metadata: {name: wiki.prod}
spec:
  mode: WEB
  isPublic: true
  config: {upstream: {url: "http://10.0.0.5:8080"}}
  authorization:
    inlinePolicies:
      - {name: only-ops, spec: {rules: [{effect: ALLOW, condition: {matchAny: true}}]}}
---
kind: Service
metadata: {name: pg}
spec:
  mode: POSTGRES
  port: 5432
  config:
    upstream: {url: "postgres://10.0.0.6"}
    postgres: {user: app, database: main, auth: {password: {fromSecret: pg-pass}}}
---
kind: Credential
metadata: {name: ci-oauth}
spec: {type: OAUTH2, user: ci, sessionType: CLIENTLESS, authorization: {policies: [allow-all]}}
---
kind: Secret
metadata: {name: pg-pass}
spec: {}
data: {value: s3cret}
---
kind: IdentityProvider
metadata: {name: corp}
spec:
  displayName: Corp SSO
  oidc: {clientID: oct, clientSecret: {fromSecret: corp-oidc}, issuerURL: "https://sso.acme.test"}
  aalRules: [{condition: {match: '"mfa" in ctx.assertionMap.amr'}, aal: AAL2}]
  postAuthenticationRules:
    - {condition: {not: 'ctx.user.spec.email.endsWith("@acme.test")'}, effect: DENY}
---
kind: ClusterConfig
metadata: {name: default}
spec:
  session: {human: {clientlessDuration: {hours: 10}}}
  authenticator: {authenticationEnforcementRules: [{condition: {matchAny: true}, effect: ENFORCE}]}
"""

BEFORE = """
kind: Namespace
metadata: {name: default}
spec: {}
---
kind: Policy
metadata: {name: allow-all}
spec: {rules: [{effect: ALLOW, condition: {matchAny: true}}]}
---
kind: Secret
metadata: {name: corp-oidc}
spec: {}
data: {value: s3cret}
"""


def test_the_minimal_documents_of_every_kind_are_accepted() -> None:
    world = World(BEFORE)
    documents = parse_documents(MINIMAL, "minimal.yaml")
    assert len(documents) == 12
    for document in sorted(documents, key=lambda document: document.kind.apply_order):
        world.validate(document.message)
        complete(document.message, world)
        world.put(document.message)
    wiki = world.resources["Service", "wiki.prod"]
    assert to_json(wiki.status)["primaryHostname"] == "wiki.prod"
    declared = {document.kind.name for document in documents}
    assert declared == {kind.name for kind in KINDS.values() if kind.declarable} - {"Config"}
    for document in documents:  # and once more, as updates
        world.validate(document.message, old=document.message)


def user(spec: str) -> str:
    return f"kind: User\nmetadata: {{name: bob}}\nspec: {spec}\n"


def policy(spec: str, name: str = "staff") -> str:
    return f"kind: Policy\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def credential(spec: str) -> str:
    return f"kind: Credential\nmetadata: {{name: key}}\nspec: {spec}\n"


def namespace(name: str) -> str:
    return f"kind: Namespace\nmetadata: {{name: {name}}}\nspec: {{}}\n"


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        (namespace("A"), "metadata.name", "not a valid name"),
        (namespace("a"), "metadata.name", "not a valid name"),
        (namespace("a--b"), "metadata.name", "not a valid name"),
        (namespace("-ab"), "metadata.name", "not a valid name"),
        (namespace("a" * 41), "metadata.name", "not a valid name"),
        (user("{}"), "spec.type", "is missing"),
        (user("{type: WORKLOAD, email: a@b.c}"), "spec.email", "only a HUMAN"),
        (user("{type: HUMAN, groups: [ops, nobody]}"), "spec.groups[1]", "no Group 'nobody'"),
        (credential("{type: OAUTH2, user: alice}"), "spec.type", "WORKLOAD Users only"),
        (credential("{type: ACCESS_TOKEN, user: alice}"), "spec.type", "WORKLOAD Users only"),
        (credential("{type: AUTH_TOKEN, user: alice, autoDelete: true}"), "spec.autoDelete",
         "needs maxAuthentications"),
        (policy("{rules: [{condition: {matchAny: true}}]}"), "spec.rules[0].effect", "is missing"),
        (policy("{rules: [{effect: ALLOW}]}"), "spec.rules[0].condition", "is missing"),
        (policy("{rules: [{effect: ALLOW, priority: 5, condition: {matchAny: true}}]}"),
         "spec.rules[0].priority", "5 is out of range"),
        (policy("{rules: [{effect: ALLOW, priority: -5, condition: {matchAny: true}}]}"),
         "spec.rules[0].priority", "-5 is out of range"),
        (policy("{rules: [{effect: ALLOW, condition: {match: ctx.user.}}]}"),
         "spec.rules[0].condition.match", "not a CEL expression"),
        (policy("{rules: [{effect: ALLOW, condition: {match: foo(ctx)}}]}"),
         "spec.rules[0].condition.match", "not a CEL expression"),
        (policy("{rules: [{effect: ALLOW, condition: {all: {of: []}}}]}"),
         "spec.rules[0].condition.all.of", "has 0 conditions"),
        (service('{config: {upstream: {url: "http://h"}}}'), "spec.mode", "is missing"),
        (service('{mode: TCP, isPublic: true, config: {upstream: {url: "http://h"}}}'),
         "spec.isPublic", "cannot be public"),
        (service('{mode: WEB, isPublic: true, isAnonymous: true, authorization: {}, '
                 'config: {upstream: {url: "http://h"}}}'), "spec.authorization", "anonymous"),
        (service('{mode: WEB, config: {upstream: {url: "http://h"}, '
                 'http: {auth: {bearer: {fromSecret: nothing}}}}}'),
         "spec.config.http.auth.bearer.fromSecret", "no Secret 'nothing'"),
        (namespace("octelium-x"), "metadata.name", "reserved"),
        (namespace("local"), "metadata.name", "reserved"),
        (policy("{attrs: {Foo: 1}}"), "spec.attrs.Foo", "not a camelCase name"),
        (policy("{attrs: {foo-bar: 1}}"), "spec.attrs.foo-bar", "not a camelCase name"),
        ("kind: Secret\nmetadata: {name: pass}\nspec: {}\n", "data", "is missing"),
        (credential("{type: AUTH_TOKEN, user: alice}") + "---\n"
         + credential("{type: OAUTH2, user: alice}"), "spec.type", "cannot be changed"),
        ("kind: Group\nspec: {}\n", "metadata", "is missing"),
        ("kind: Group\nmetadata: {name: aa}\n", "spec", "is missing"),
        ("kind: ClusterConfig\nspec: {}\n", "metadata", "is missing"),
    ],
)  # fmt: skip
def test_negative_fixtures(world: World, text: str, path: str, problem: str) -> None:
    refused = world.refusal(text)
    assert refused.path == path
    assert problem in refused.problem


def test_the_clock_is_the_default(world: World) -> None:
    """Session expiry is compared with the present unless told otherwise."""
    session = core.Session(kind="Session")
    session.metadata.name = "alice-abc123"
    session.spec.state = core.SessionSpecState__.ACTIVE
    end = int(time.time()) + 86400
    session.spec.expires_at.seconds = end
    validate(session, world, expressions=world)
    with pytest.raises(Invalid, match=r"spec\.expiresAt"):
        validate(session, world, expressions=world, now=end + 1)


def test_a_message_that_is_no_resource(world: World) -> None:
    with pytest.raises(KeyError):
        validate(meta.Metadata(), world, expressions=world)


def test_a_computed_config_meets_the_same_rules(world: World) -> None:
    [wiki] = world.apply(service('{mode: WEB, config: {upstream: {url: "http://h"}}}'))

    def config(**parts: object) -> core.ServiceSpecConfig:
        return from_json(core.ServiceSpecConfig, parts)

    good = config(upstream={"url": "http://h"}, http={"auth": {"bearer": {"fromSecret": "gone"}}})
    validate_config(good, wiki, view=None, expressions=world)
    for bad, path in [
        (config(upstream={"url": "h"}), "config.upstream.url"),
        (config(ssh={}), "config.ssh"),
        (config(http={"header": {"removeRequestHeaders": ["a b"]}}),
         "config.http.header.removeRequestHeaders[0]"),
        (config(http={"auth": {"bearer": {"fromSecret": "sys:key"}}}),
         "config.http.auth.bearer.fromSecret"),
    ]:  # fmt: skip
        with pytest.raises(Invalid) as refused:
            validate_config(bad, wiki, view=None, expressions=world)
        assert refused.value.path == path
    with pytest.raises(Invalid, match="no Secret 'gone'"):
        validate_config(good, wiki, view=world, expressions=world)


def test_the_small_cluster_is_valid() -> None:
    assert World(BASE).resources
