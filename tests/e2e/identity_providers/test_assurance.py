"""The examples of authentication assurance levels: rules that set one, a Policy that wants one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from tests.e2e.identity_providers.world import address, filled
from tests.peers.saml import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.identity_providers.visitor import Visitor
    from tests.e2e.identity_providers.world import World

POLICY = """
kind: Policy
metadata:
  name: production-policy
spec:
  rules:
    - name: production
      effect: ALLOW
      condition:
        all:
          of:
            - match: ctx.namespace.metadata.name == "production"
            - match: '"ops" in ctx.user.spec.groups'
            - match: ctx.user.spec.type == "HUMAN"
            - match: ctx.session.status.authentication.info.aal == "AAL3"
"""
QUOTED = "match: '\"ops\" in ctx.user.spec.groups'"
UNQUOTED = 'match: "ops" in ctx.user.spec.groups'
RULES = """  aalRules:
    - aal: AAL
      condition:
        match: CONDITION
"""
OIDC = """
kind: IdentityProvider
metadata:
  name: oidc-01
  displayName: My OIDC IdP
spec:
  oidc:
    issuerURL: <ISSUER>
    clientID: <CLIENT_ID>
    clientSecret: {fromSecret: oidc-secret}
"""
SAML = """
kind: IdentityProvider
metadata:
  name: oidc-01
  displayName: My OIDC IdP
spec:
  saml:
    metadataURL: <METADATA_URL>
    identifierAttribute: custom-email-attr
"""
GITHUB = """
kind: IdentityProvider
metadata: {name: github, displayName: My OIDC IdP}
spec:
  github:
    clientID: <CLIENT_ID>
    clientSecret: {fromSecret: github-secret}
"""
WORKLOADS = """
kind: IdentityProvider
metadata: {name: actions}
spec:
  oidcIdentityToken: {issuerURL: <ISSUER>}
"""
BUTTON = "My OIDC IdP"
LEVELS = core.SessionStatusAuthenticationInfoAal__


def rules(level: str, condition: str) -> str:
    return RULES.replace("AAL\n", f"{level}\n").replace("CONDITION", condition)


def person(name: str, *groups: str) -> str:
    """Somebody, with groups of this test."""
    spec = f"{{type: HUMAN, email: {address(name)}, groups: [{', '.join(groups)}]}}"
    return f"kind: User\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def oidc(world: World, *more: str) -> str:
    text = "".join([OIDC, *more])
    return filled(text, ISSUER=world.oidc.issuer, CLIENT_ID=world.oidc.client_id)


@pytest.fixture(name="production")
def production_fixture(world: World) -> Iterator[World]:
    """The group `ops`, with ann and ben, and the Namespace."""
    people = [person(name, "ops") for name in ("ann", "ben")]
    namespace = "kind: Namespace\nmetadata: {name: production}\nspec: {}\n"
    group = "kind: Group\nmetadata: {name: ops}\nspec: {}\n"
    world.apply("---\n".join([group, namespace, *people]))
    yield world
    for kind, names in (
        ("Service", ["payroll.production", "payroll.default"]),
        ("Policy", ["production-policy"]),
        ("Namespace", ["production"]),
    ):
        world.delete(kind, *names)
    world.apply("---\n".join(person(name) for name in ("ann", "ben")))


def services(world: World) -> str:
    names = ("payroll.production", "payroll")
    return "---\n".join(world.service(name, "production-policy") for name in names)


def opens(world: World, visitor: Visitor, service: str) -> bool:
    """Whether a Service lets somebody in; who is refused sees why."""
    page = visitor.follow(world.cluster.url(service))
    if page.text == "opened":
        return True
    assert page.status_code == 403, page
    return False


def level(world: World, **answers: str) -> int:
    """The level of somebody who signs in."""
    visitor = world.visitor()
    visitor.sign_in(BUTTON, **answers)
    return world.session_of(visitor).status.authentication.info.aal


def test_production_policy(production: World) -> None:
    """Only who is in ops and has used a second factor opens the Service, and only that one."""
    world = production
    provider = oidc(world, rules("AAL3", "ctx.assertionMap.hasMFA"))
    world.apply("---\n".join([POLICY, provider, services(world)]))
    opened = set()
    for name in ("ann", "ben", "cleo"):
        visitor = world.visitor()
        visitor.sign_in(BUTTON, login=name, password="any")
        assert visitor.is_signed_in
        for service in ("payroll.production", "payroll"):
            if opens(world, visitor, service):
                opened.add((name, service))
    assert opened == {("ann", "payroll.production")}
    # Who has the level, and is not in ops, is refused; a change counts at once.
    visitor = world.visitor()
    visitor.sign_in(BUTTON, login="ann", password="any")
    for groups in ((), ("ops",)):
        world.apply(person("ann", *groups))
        assert opens(world, visitor, "payroll.production") == bool(groups)
    # Without the rules nobody has the level from the next login on.
    world.apply(oidc(world))
    visitor.sign_in_again(BUTTON, login="ann", password="any")
    assert not opens(world, visitor, "payroll.production")


def test_the_unquoted_form_says_what_to_write(production: World) -> None:
    """As the example stands on the page. The line of the error message makes it work."""
    world = production
    unquoted = POLICY.replace(QUOTED, UNQUOTED)
    before = {item.metadata.resource_version for item in world.stored("Policy")}
    for command in ("apply", "diff", "policy test"):
        file = world.folder / "policy.yaml"
        file.write_text(unquoted)
        refused = world.octeliumctl(*command.split(), str(file), check=False)
        assert refused.returncode != 0
        line = unquoted.splitlines().index(f"            - {UNQUOTED}") + 1
        assert f"{file}:{line}:22 (document 1)" in refused.stderr
        assert f"- {UNQUOTED}\n" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert {item.metadata.resource_version for item in world.stored("Policy")} == before
    proposed = re.search(r"put the whole text in quotes: (.*)\)$", refused.stderr, re.MULTILINE)
    assert proposed is not None
    assert proposed[1] == QUOTED
    world.apply(unquoted.replace(UNQUOTED, proposed[1]))
    (stored,) = [
        policy for policy in world.stored("Policy") if policy.metadata.name == "production-policy"
    ]
    conditions = stored.spec.rules[0].condition.all.of
    assert conditions[1].match == '"ops" in ctx.user.spec.groups'


def test_claims(world: World) -> None:
    """The value is that of the first rule whose condition holds; one that fails does not hold."""
    several = "".join(
        rules(level, condition).removeprefix("" if index == 0 else "  aalRules:\n")
        for index, (level, condition) in enumerate(
            (
                ("AAL3", "ctx.assertionMap.hasMFA"),
                ("AAL2", "ctx.assertionMap.missing.part"),
                ("AAL1", 'ctx.assertionMap.email.endsWith("@example.com")'),
                ("AAL2", "1 == 1"),
            )
        )
    )
    world.apply(oidc(world, several))
    found = [level(world, login=name, password="any") for name in ("ann", "ben", "cleo")]
    assert found == [LEVELS.AAL3, LEVELS.AAL1, LEVELS.AAL1]
    world.apply(oidc(world))
    assert level(world, login="ann", password="any") == LEVELS.AAL_UNSET


def test_claims_of_github(world: World) -> None:
    """The assertion is what GitHub tells about the account."""
    rule = rules("AAL2", "ctx.assertionMap.two_factor_authentication")
    text = filled(GITHUB + rule, CLIENT_ID=world.github.client_id)
    world.apply(text)
    assert level(world, login="ann-at-github") == LEVELS.AAL2
    assert level(world, login="ben-at-github") == LEVELS.AAL_UNSET


def test_claims_of_a_workload(world: World) -> None:
    rule = rules("AAL2", 'ctx.assertionMap.environment == "release"')
    identity = "{identityProvider: actions, identifier: builder}"
    workload = (
        "---\nkind: User\nmetadata: {name: builder}\n"
        f"spec: {{type: WORKLOAD, authentication: {{identities: [{identity}]}}}}\n"
    )
    world.apply(filled(WORKLOADS + rule + workload, ISSUER=world.issuer.url))
    found = []
    for environment in ("release", "trial", None):
        token = world.issuer.token("builder", "https://octelium.localhost", environment=environment)
        known = {session.metadata.uid for session in world.stored("Session")}
        world.authenticate(token)
        (session,) = [each for each in world.stored("Session") if each.metadata.uid not in known]
        found.append(session.status.authentication.info.aal)
    assert found == [LEVELS.AAL2, LEVELS.AAL_UNSET, LEVELS.AAL_UNSET]


def test_saml_assertions(world: World) -> None:
    """The assertion is a text."""
    rule = rules("AAL2", 'ctx.assertion.contains("mfa")')
    world.apply(filled(SAML + rule, METADATA_URL=world.saml.metadata_url))
    found = [level(world, username=name, password=PASSWORD) for name in ("ann", "ben")]
    assert found == [LEVELS.AAL2, LEVELS.AAL_UNSET]
