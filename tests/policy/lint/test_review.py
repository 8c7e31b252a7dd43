from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from octelium.policy.lint.review import attachment_of, review
from octelium.policy.shape.contexts import Attachment
from octelium.schema.documents import parse_documents
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("[0-9]*.yaml"))
MODE = core.ServiceSpecMode__
WEB = 'ctx.request.http.path == "/"'


@dataclass
class Known:
    """Attachments as a test has them."""

    by_services: dict[str, set[Attachment]] = field(default_factory=dict)
    by_others: set[str] = field(default_factory=set)
    policies: dict[str, core.Policy] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def services(self, policy: str) -> frozenset[Attachment]:
        return frozenset(self.by_services.get(policy, ()))

    def elsewhere(self, policy: str) -> bool:
        self.asked.append(policy)
        return policy in self.by_others

    def policy(self, name: str) -> core.Policy | None:
        return self.policies.get(name)


def policy(name: str, *texts: str) -> core.Policy:
    rules = [{"effect": "ALLOW", "condition": {"match": text}} for text in texts]
    form = {"kind": "Policy", "metadata": {"name": name}, "spec": {"rules": rules}}
    return from_json(core.Policy, form)


def service(mode: str, **spec: Any) -> core.Service:
    form = {"kind": "Service", "metadata": {"name": "s.default"}, "spec": {"mode": mode, **spec}}
    return from_json(core.Service, form)


def paths(resource: Any, known: Known | None = None) -> list[tuple[str, str]]:
    findings = review(resource, known or Known())
    return [(finding.path, finding.problem) for finding in findings]


def test_a_policy_that_is_attached_nowhere_may_meet_any_request() -> None:
    assert paths(policy("p", WEB, 'ctx.request.ssh.connect.user == "a"')) == []
    [(path, problem)] = paths(policy("p", WEB, "ctx.usr.x == 1"))
    assert (path, problem) == ("spec.rules[1].condition.match", "`ctx` has no member 'usr'")


def test_a_policy_meets_the_requests_of_the_services_that_name_it() -> None:
    shell, web = Attachment(MODE.SSH), Attachment(MODE.WEB)
    known = Known(by_services={"p": {shell}})
    [(path, problem)] = paths(policy("p", WEB), known)
    assert path == "spec.rules[0].condition"
    assert "never be true where it is attached (mode SSH)" in problem
    assert paths(policy("p", WEB), Known(by_services={"p": {shell, web}})) == []
    assert paths(policy("p", WEB), Known(by_services={"p": {shell}}, by_others={"p"})) == []


def test_the_expensive_question_is_asked_last() -> None:
    known = Known(by_services={"p": {Attachment(MODE.WEB)}}, by_others={"p"})
    assert paths(policy("p", WEB), known) == []
    assert known.asked == []


def test_inline_policies_meet_the_requests_of_their_service() -> None:
    rules = {"rules": [{"effect": "DENY", "condition": {"match": WEB}}]}
    authorization = {"inlinePolicies": [{"spec": rules}]}
    [(path, problem)] = paths(service("SSH", authorization=authorization))
    assert path == "spec.authorization.inlinePolicies[0].spec.rules[0].condition"
    assert "never be true" in problem
    assert paths(service("HTTP", authorization=authorization)) == []
    user = from_json(core.User, {"kind": "User", "spec": {"authorization": authorization}})
    assert paths(user) == []


def test_a_service_is_told_about_the_policies_that_it_names() -> None:
    known = Known(
        by_services={"web": {Attachment(MODE.SSH)}, "base": {Attachment(MODE.SSH)}},
        policies={"web": policy("web", "ctx.usr.x == 1", WEB)},
    )
    named = service("SSH", authorization={"policies": ["other", "eu.web"]})
    [(path, problem)] = paths(named, known)
    assert path == "spec.authorization.policies[1]"
    assert problem.startswith("in spec.rules[1].condition of Policy web: this can never be true")
    known.by_others.add("web")
    assert paths(named, known) == []


def test_attachments_of_services() -> None:
    assert attachment_of(service("SSH")) == Attachment(MODE.SSH)
    plain = service("WEB", isAnonymous=True)
    assert attachment_of(plain) == Attachment(MODE.WEB, anonymous=True, policies=False)
    guarded = service("WEB", isAnonymous=True, authorization={"enableAnonymous": True})
    assert attachment_of(guarded) == Attachment(MODE.WEB, anonymous=True)


def test_dynamic_configuration_and_values() -> None:
    rule = {"condition": {"match": "ctx.user.spec.emial == 'a'"}, "eval": "ctx.service.spec.port"}
    header = {"key": "x-user", "eval": "ctx.service.spec.port"}
    found = service(
        "HTTP",
        dynamicConfig={"rules": [rule]},
        config={"http": {"header": {"addRequestHeaders": [header]}}},
    )
    assert sorted(paths(found)) == [
        (
            "spec.config.http.header.addRequestHeaders[0].eval",
            "this results in a number, and a text is needed",
        ),
        ("spec.dynamicConfig.rules[0].condition.match", "`ctx.user.spec` has no member 'emial'"),
        ("spec.dynamicConfig.rules[0].eval", "this results in a number, and a map is needed"),
    ]
    rule = {"condition": {"match": "ctx.user.spec.email == 'a'"}, "configName": "default"}
    anonymous = service("HTTP", isAnonymous=True, dynamicConfig={"rules": [rule]})
    [(path, problem)] = paths(anonymous)
    assert path == "spec.dynamicConfig.rules[0].condition"
    assert "asks nobody who they are" in problem
    attrs = {"condition": {"match": "attrs.x == 1"}, "configName": "default"}
    [(_, problem)] = paths(service("HTTP", dynamicConfig={"rules": [attrs]}))
    assert "`attrs` has no value here" in problem


def test_plugins_before_authentication() -> None:
    def plugin(phase: str) -> core.Service:
        match = {"match": "ctx.user.spec.email == 'a'"}
        form = {"name": "p", "phase": phase, "condition": match, "direct": {"statusCode": 404}}
        return service("HTTP", config={"http": {"plugins": [form]}})

    assert paths(plugin("POST_AUTH")) == []
    [(path, problem)] = paths(plugin("PRE_AUTH"))
    assert path == "spec.config.http.plugins[0].condition.match"
    assert problem == "`ctx` has no member 'user'"


def test_rules_of_logins() -> None:
    form = {
        "aalRules": [
            {"condition": {"match": "'mfa' in ctx.assertionMap.amr"}, "aal": "AAL2"},
            {"condition": {"match": "ctx.request.ip == '1.1.1.1'"}, "aal": "AAL3"},
        ],
        "postAuthenticationRules": [
            {"condition": {"match": "ctx.authenticationInfo.aal == 'AAL4'"}, "effect": "DENY"},
        ],
    }
    provider = from_json(core.IdentityProvider, {"kind": "IdentityProvider", "spec": form})
    assert sorted(paths(provider)) == [
        ("spec.aalRules[1].condition.match", "`ctx` has no member 'request'"),
        (
            "spec.postAuthenticationRules[0].condition.match",
            '`ctx.authenticationInfo.aal` is never "AAL4"',
        ),
    ]
    rules = [
        {"condition": {"match": text}, "effect": "ENFORCE"}
        for text in (
            "ctx.authenticatorList.items.exists(a, a.status.type == 'FIDO')",
            "ctx.authenticatorList.items.exists(a, a.status.typ == 'FIDO')",
        )
    ]
    everybody = [{"condition": {"matchAny": True}, "effect": "ENFORCE"}]
    settings = {
        "authenticator": {
            "authenticationEnforcementRules": rules,
            "registrationEnforcementRules": everybody,
        }
    }
    config = from_json(core.ClusterConfig, {"kind": "ClusterConfig", "spec": settings})
    [(path, problem)] = paths(config)
    assert path == "spec.authenticator.authenticationEnforcementRules[1].condition.match"
    assert problem == "`a.status` has no member 'typ'"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_right(path: Path) -> None:
    documents = parse_documents(path.read_text(), path.name)
    assert documents
    for document in documents:
        assert review(document.message, Known()) == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(
    "text",
    [
        # What the documentation of conditions shows.
        'ctx.service.spec.mode == "SSH"',
        'ctx.user.spec.email == "a@b"',
        'ctx.service.metadata.name == "default.octelium-api"',
        'ctx.namespace.metadata.name == "octelium-api"',
        'ctx.request.grpc.serviceFullName == "octelium.api.main.core.v1.MainService"',
        'ctx.request.grpc.method.startsWith("Get") || ctx.request.grpc.method.startsWith("List")',
        'ctx.request.http.path.startsWith("/admin")',
        'ctx.session.status.type == "CLIENT" && ctx.session.status.isBrowser',
        'ctx.session.status.authentication.info.aal in ["AAL2", "AAL3"]',
        'ctx.session.status.authentication.info.geoip.country.code == "DE"',
        'ctx.session.status.authentication.info.downstream.ipAddress == "1.2.3.4"',
        'ctx.session.status.initialAuthentication.info.identityProvider.email == "a"',
        'ctx.session.status.lastAuthentications[0].info.type == "CREDENTIAL"',
        "ctx.session.status.totalAuthentications == 1",
        'ctx.device.status.osType == "LINUX" && ctx.device.spec.state == "ACTIVE"',
        '"02:00:00:00:00:01" in ctx.device.status.macAddresses',
        'ctx.groups.exists(g, g.metadata.name == "ops")',
        'timestamp(ctx.session.metadata.createdAt) > now() - duration("1h")',
        'ctx.request.kubernetes.verb in ["get", "list"] && ctx.request.kubernetes.namespace == "a"',
        'ctx.request.postgres.query.query.lowerAscii().startsWith("select")',
        'ctx.request.mysql.initDB.database == "a"',
        "ctx.request.dns.typeID == 28 || ctx.request.dns.name == 'a.example.'",
        'ctx.request.socks5.connect.addressType == "DOMAIN" && ctx.request.socks5.connect.port > 1',
        'ctx.request.mcp.method == "tools/call" && ctx.request.mcp.name in ["a", "b"]',
        'ctx.request.llm.model == "a" && ctx.request.llm.toolNames.hasAny(["x"])',
        "int(ctx.request.llm.estimatedInputTokens) < 1000",
        'ctx.request.http.size == "12" || int(ctx.request.http.size) > 100',
        "ctx.service.spec.port == 8080",
        "attrs.limits[ctx.user.metadata.name].max > 3",
    ],
)
def test_documented_conditions_are_right(text: str) -> None:
    assert paths(policy("p", text)) == []


def test_settings_that_do_nothing() -> None:
    def config(mmdb: dict[str, Any]) -> core.ClusterConfig:
        spec = {"authentication": {"geolocation": {"mmdb": mmdb}}}
        return from_json(core.ClusterConfig, {"kind": "ClusterConfig", "spec": spec})

    assert paths(config({"fromConfig": "geo"})) == []
    [(path, problem)] = paths(config({"upstream": {"url": "https://h/geo.mmdb"}}))
    assert path == "spec.authentication.geolocation.mmdb.upstream"
    assert "is not offered" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ctx.asertionMap.groups", "`ctx` has no member 'asertionMap'"),
        ("ctx.assertionMap.groups", ""),
        ('ctx.assertionMap.roles.map(r, "role-" + r)', ""),
    ],
)
def test_the_groups_of_an_assertion(text: str, problem: str) -> None:
    form = {"kind": "Config", "metadata": {"name": "g"}, "data": {"attrs": {"groups": text}}}
    found = paths(from_json(core.Config, form))
    assert found == ([("data.attrs.groups", problem)] if problem else [])
    form["data"] = {"attrs": {"groups": text, "other": 1}}
    assert paths(from_json(core.Config, form)) == []


def enforcing(*rules: str) -> core.ClusterConfig:
    each = [{"effect": "ENFORCE", "condition": {"matchAny": True}}]
    spec = {"authenticator": dict.fromkeys(rules, each)}
    return from_json(core.ClusterConfig, {"metadata": {"name": "default"}, "spec": spec})


def test_authenticators_that_are_wanted_of_their_owners_alone() -> None:
    [(path, problem)] = paths(enforcing("authenticationEnforcementRules"))
    assert path == "spec.authenticator.authenticationEnforcementRules"
    assert "no Authenticator are let in" in problem
    both = enforcing("authenticationEnforcementRules", "registrationEnforcementRules")
    assert paths(both) == []
    assert paths(enforcing("registrationEnforcementRules")) == []
