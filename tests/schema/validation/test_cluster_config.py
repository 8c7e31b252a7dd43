from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def cluster_config(spec: str) -> str:
    return f"kind: ClusterConfig\nmetadata: {{}}\nspec: {spec}\n"


RULE = "condition: {matchAny: true}"


@pytest.mark.parametrize(
    "spec",
    [
        "{}",
        "{authorization: {policies: [allow-all]}, ingress: {xffNumTrustedHops: 64}}",
        "{session: {human: {maxPerUser: 1000, defaultState: PENDING}, workload: {}}}",
        "{device: {human: {defaultState: PENDING}, probing: {isDisabled: true}}}",
        (
            "{dns: {fallbackZone: {servers: [1.1.1.1, 'dot://1.1.1.1', dns.x]}, "
            "zones: [{domains: [a.b], servers: ['10.0.0.1:53'], cacheDuration: {minutes: 5}}, "
            "{domains: [corp.local], servers: ['tls://dc.corp.local', 'tcp://[fd00::1]:5353']}]}}"
        ),
        (
            f"{{authenticator: {{registrationEnforcementRules: [{{{RULE}, effect: RECOMMEND}}], "
            f"postAuthenticationRules: [{{name: x, {RULE}, effect: DENY}}], "
            "defaultState: ACTIVE}}"
        ),
        "{authentication: {geolocation: {mmdb: {fromConfig: geo}}}}",
        (
            "{authentication: {geolocation: {mmdb: {upstream: {url: 'https://h/x', auth: {query: "
            "{key: k, value: {fromSecret: token}}}}}}}}"
        ),
        "{gateway: {wireguardKeyRotationDuration: {days: 7}}}",
    ],
)
def test_settings(world: World, spec: str) -> None:
    world.apply(cluster_config(spec))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{authorization: {policies: [gone]}}", "authorization.policies[0]"),
        ("{ingress: {xffNumTrustedHops: 65}}", "ingress.xffNumTrustedHops"),
        ("{ingress: {xffNumTrustedHops: -1}}", "ingress.xffNumTrustedHops"),
        ("{session: {human: {maxPerUser: 1001}}}", "session.human.maxPerUser"),
        ("{session: {human: {defaultState: REJECTED}}}", "session.human.defaultState"),
        ("{session: {workload: {defaultState: REJECTED}}}", "session.workload.defaultState"),
        ("{session: {human: {clientDuration: {}}}}", "session.human.clientDuration"),
        ("{device: {human: {defaultState: REJECTED}}}", "device.human.defaultState"),
        ("{device: {workload: {defaultState: REJECTED}}}", "device.workload.defaultState"),
        ("{device: {workload: {maxPerUser: 1001}}}", "device.workload.maxPerUser"),
        ("{dns: {fallbackZone: {servers: ['a b']}}}", "dns.fallbackZone.servers[0]"),
        (f"{{dns: {{fallbackZone: {{servers: {['h'] * 33}}}}}}}", "dns.fallbackZone.servers"),
        ("{dns: {fallbackZone: {servers: ['https://dns.x/q']}}}", "dns.fallbackZone.servers[0]"),
        ("{dns: {zones: [{domains: [a.b]}]}}", "dns.zones[0].servers"),
        ("{dns: {zones: [{servers: [h]}]}}", "dns.zones[0].domains"),
        ("{dns: {zones: [{servers: [h], domains: [a.b, c, A.b.]}]}}", "dns.zones[0].domains[2]"),
        ("{dns: {zones: [{servers: [h], domains: [LOCAL]}]}}", "dns.zones[0].domains[0]"),
        ("{authenticator: {defaultState: REJECTED}}", "authenticator.defaultState"),
        (f"{{authenticator: {{authenticationEnforcementRules: [{{{RULE}}}]}}}}",
         "authenticator.authenticationEnforcementRules[0].effect"),
        ("{authenticator: {registrationEnforcementRules: [{effect: ENFORCE}]}}",
         "authenticator.registrationEnforcementRules[0].condition"),
        (("{authenticator: {postAuthenticationRules: "
          f"[{{name: {'x' * 129}, {RULE}, effect: DENY}}]}}}}"),
         "authenticator.postAuthenticationRules[0].name"),
        ("{authenticator: {tpm: {endorsementTrust: {trustedCAs: [x]}}}}",
         "authenticator.tpm.endorsementTrust.trustedCAs[0]"),
        ("{authentication: {geolocation: {mmdb: {}}}}", "authentication.geolocation.mmdb"),
        ("{authentication: {geolocation: {mmdb: {fromConfig: gone}}}}",
         "authentication.geolocation.mmdb.fromConfig"),
        ("{authentication: {geolocation: {mmdb: {upstream: {url: 'ftp://h'}}}}}",
         "authentication.geolocation.mmdb.upstream.url"),
    ],
)  # fmt: skip
def test_bad_settings(world: World, spec: str, path: str) -> None:
    assert world.refusal(cluster_config(spec)).path == f"spec.{path}"
