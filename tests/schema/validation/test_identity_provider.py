from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from joserfc.jwk import OKPKey

from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.identity_provider import issuer_of

if TYPE_CHECKING:
    from tests.schema.validation.world import World

SECRET = "clientSecret: {fromSecret: token}"
KEYS = json.dumps({"keys": [OKPKey.generate_key("Ed25519").as_dict(private=False)]})


def provider(spec: str, name: str = "corp") -> str:
    return f"kind: IdentityProvider\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def oidc(issuer: str, more: str = "") -> str:
    return f'{{oidc: {{clientID: x, {SECRET}, issuerURL: "{issuer}"{more}}}}}'


@pytest.mark.parametrize(
    "spec",
    [
        f"{{github: {{clientID: x, {SECRET}}}, displayName: 'Größe'}}",
        oidc("https://sso.acme.test", ", scopes: [openid, email], identifierClaim: sub"),
        "{saml: {metadataURL: 'https://h/m', entityID: e}}",
        "{saml: {metadata: '<a/>', forceAuthn: true}}",
        "{oidcIdentityToken: {issuerURL: 'https://token.actions.test', audience: a}}",
        "{oidcIdentityToken: {jwksURL: 'https://h/jwks', issuer: i}}",
        f"{{oidcIdentityToken: {{jwksContent: '{KEYS}', issuer: i}}}}",
    ],
)
def test_providers(world: World, spec: str) -> None:
    world.apply(provider(spec))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{}", "spec"),
        (f"{{github: {{{SECRET}}}}}", "spec.github.clientID"),
        ("{github: {clientID: x}}", "spec.github.clientSecret"),
        ("{github: {clientID: x, clientSecret: {}}}", "spec.github.clientSecret"),
        (f"{{github: {{clientID: x, {SECRET}}}, displayName: \"a\\nb\"}}", "spec.displayName"),
        (f"{{oidc: {{clientID: x, {SECRET}}}}}", "spec.oidc.issuerURL"),
        (oidc("http://h"), "spec.oidc.issuerURL"),
        (oidc("https://h", ", scopes: [a, a]"), "spec.oidc.scopes[1]"),
        (oidc("https://h", f", scopes: {['a'] * 33}"), "spec.oidc.scopes"),
        (oidc("https://h", f", scopes: [{'a' * 129}]"), "spec.oidc.scopes[0]"),
        ("{saml: {}}", "spec.saml"),
        ("{saml: {metadata: '<a>'}}", "spec.saml.metadata"),
        ("{saml: {metadataURL: 'http://h'}}", "spec.saml.metadataURL"),
        ("{oidcIdentityToken: {audience: a}}", "spec.oidcIdentityToken"),
        ("{oidcIdentityToken: {issuerURL: 'https://h', issuer: i}}",
         "spec.oidcIdentityToken.issuer"),
        ("{oidcIdentityToken: {jwksURL: 'https://h'}}", "spec.oidcIdentityToken.issuer"),
        ("{oidcIdentityToken: {jwksURL: 'http://h', issuer: i}}", "spec.oidcIdentityToken.jwksURL"),
        ("{oidcIdentityToken: {jwksContent: '{}', issuer: i}}",
         "spec.oidcIdentityToken.jwksContent"),
        ("{saml: {metadata: '<a/>'}, aalRules: [{condition: {matchAny: true}}]}",
         "spec.aalRules[0].aal"),
        ("{saml: {metadata: '<a/>'}, aalRules: [{aal: AAL2}]}", "spec.aalRules[0].condition"),
        ("{saml: {metadata: '<a/>'}, postAuthenticationRules: [{effect: DENY}]}",
         "spec.postAuthenticationRules[0].condition"),
        ("{saml: {metadata: '<a/>'}, postAuthenticationRules: [{condition: {matchAny: true}}]}",
         "spec.postAuthenticationRules[0].effect"),
    ],
)  # fmt: skip
def test_bad_providers(world: World, spec: str, path: str) -> None:
    assert world.refusal(provider(spec)).path == path


def test_an_issuer_is_that_of_one_provider_of_a_type(world: World) -> None:
    world.apply(provider(oidc("https://sso.acme.test")))
    refused = world.refusal(provider(oidc("https://SSO.acme.test/"), name="other"))
    assert refused.path == "spec.oidc.issuerURL"
    assert "'corp'" in refused.problem
    world.apply(provider(oidc("https://sso.acme.test/")))
    token = "{oidcIdentityToken: {issuerURL: 'https://sso.acme.test'}}"
    world.apply(provider(token, name="workload"))
    refused = world.refusal(provider(token, name="workload2"))
    assert refused.path == "spec.oidcIdentityToken.issuerURL"


def test_issuers() -> None:
    def spec(value: object) -> core.IdentityProviderSpec:
        return from_json(core.IdentityProviderSpec, value)

    assert issuer_of(spec({"github": {}})) is None
    assert issuer_of(spec({"oidcIdentityToken": {"jwksURL": "https://h"}})) is None
    assert issuer_of(spec({"oidcIdentityToken": {"issuerURL": "https://H/"}})) == "https://h"


def with_groups(config: str) -> str:
    metadata = f"{{name: corp, annotations: {{groups-config: {config}}}}}"
    spec = oidc("https://sso.acme.test")
    return f"kind: IdentityProvider\nmetadata: {metadata}\nspec: {spec}\n"


GROUPS = (
    "kind: Config\nmetadata: {name: takes}\nspec: {}\n"
    "data: {attrs: {%s: ctx.assertionMap.groups}}\n"
)


def test_groups_are_taken_by_a_config_made_for_it(world: World) -> None:
    path = r"metadata\.annotations\.groups-config"
    with pytest.raises(Invalid, match=rf"{path}: there is no Config 'takes'"):
        world.apply(with_groups("takes"))
    with pytest.raises(Invalid, match=path):
        world.apply(with_groups("''"))
    with pytest.raises(Invalid, match=rf"{path}: the Config 'geo' says no groups"):
        world.apply(with_groups("geo"))
    world.apply(GROUPS % "groups")
    world.apply(with_groups("takes"))
    (changed,) = world.read(GROUPS % "other")
    with pytest.raises(Invalid, match="says no groups"):
        world.validate(changed, world.get("Config", "takes"))
    # Nor is one made anew that would not do.
    del world.resources["Config", "takes"]
    with pytest.raises(Invalid, match="says no groups"):
        world.validate(changed)
