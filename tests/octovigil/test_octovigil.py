"""Whole decisions: identity, worked cases, and random worlds against the rules spelled out."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.tokens import TokenType
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.request import DictRequest, NoRequest, Request
from octelium.replica.arrival import Arrival, FrontDoor, Tunnel
from octelium.schema.pb import feed_v1_pb2 as feed
from tests.octovigil import reference
from tests.octovigil.world import (
    HTTP,
    START,
    World,
    allow,
    deny,
    inline,
    stamp,
    uid_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def open_world() -> World:
    world = World()
    world.user(authorization=inline(allow()))
    return world


# --- identity


def test_an_access_token_at_the_front_door() -> None:
    decision = open_world().ask()
    assert decision.allowed
    assert decision.session is not None
    assert decision.session.name == "ann-1"
    assert decision.user is not None
    assert decision.user.name == "ann"
    assert decision.config_name == "default"
    assert decision.config is not None


def test_a_tunnel_needs_no_token_and_heeds_none() -> None:
    world = open_world()
    world.session("bob-1", "bob")
    world.user("bob")
    assert world.ask(tunnel=True).allowed
    decision = world.ask(tunnel=True, session="bob-1", token=world.token("ann-1"))
    assert decision.session is not None
    assert decision.session.name == "bob-1"
    assert not decision.allowed


@pytest.mark.parametrize(
    "case",
    ["none", "empty", "garbage", "refresh", "credential", "other id", "expired", "nobody", "bytes"],
)
def test_tokens_that_do_not_count(case: str) -> None:
    world = open_world()
    tokens = {
        "none": None,
        "empty": b"",
        "garbage": b"x" * 180,
        "refresh": world.token(kind=TokenType.REFRESH),
        "credential": world.token(kind=TokenType.CREDENTIAL),
        "other id": world.token(token_id=uid_of("token", "other")),
        "expired": world.token(expires_at=START),
        "nobody": world.token("nobody"),
        "bytes": world.token()[:-1] + b"\xff",
    }
    request = DictRequest(HTTP, token=tokens[case])
    decision = world.octovigil.decide(world.entry(), request, FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.UNAUTHENTICATED
    assert decision.session is None
    assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON


def test_a_token_counts_for_public_services_only() -> None:
    world = open_world()
    world.service("box.default", isPublic=None)
    assert world.ask("box.default").outcome is Outcome.UNAUTHENTICATED
    assert world.ask("box.default", tunnel=True).allowed
    world.service("box.default", mode="TCP", isPublic=True)
    assert world.ask("box.default").outcome is Outcome.UNAUTHENTICATED


def test_a_tunnel_of_nobody() -> None:
    world = open_world()
    assert world.ask(tunnel=True, session="nobody").outcome is Outcome.UNAUTHENTICATED


def test_an_expired_session_is_nobody() -> None:
    world = open_world()
    world.session("ann-1", "ann", expiresAt=stamp(START + 10))
    assert world.ask().allowed
    world.now += 10
    assert world.ask().outcome is Outcome.UNAUTHENTICATED
    assert world.ask(tunnel=True).outcome is Outcome.UNAUTHENTICATED


def test_a_session_without_an_end_is_nobody() -> None:
    world = open_world()
    ref = {"userRef": {"uid": uid_of("User", "ann")}, "type": "CLIENT"}
    world.put("Session", "ann-1", {"state": "ACTIVE"}, ref)
    assert world.ask(tunnel=True).outcome is Outcome.UNAUTHENTICATED


def test_a_token_outlived_by_its_session() -> None:
    world = open_world()
    token = world.token(expires_at=START + 60)
    assert world.ask(token=token).allowed
    world.now += 60
    assert world.ask(token=token).outcome is Outcome.UNAUTHENTICATED
    assert world.ask(token=world.token()).allowed


def test_signing_keys_come_and_go() -> None:
    world = open_world()
    token = world.token()
    assert world.ask(token=token).allowed
    world._commit(feed.Change(kind="VerificationKey", uid=world.key_uid, name="key", deleted=True))
    assert world.ask(token=token).outcome is Outcome.UNAUTHENTICATED


# --- changes


def test_changes_take_effect_with_the_next_decision() -> None:
    world = open_world()
    assert world.ask().allowed
    world.session("ann-1", "ann", state="REJECTED")
    assert world.ask().reason.type is ReasonType.SESSION_NOT_ACTIVE
    world.session("ann-1", "ann")
    assert world.ask().allowed
    world.remove("Session", "ann-1")
    assert world.ask().outcome is Outcome.UNAUTHENTICATED
    world.session("ann-1", "ann")
    assert world.ask().allowed
    world.user(isDisabled=True, authorization=inline(allow()))
    assert world.ask().reason.type is ReasonType.USER_DEACTIVATED


def test_an_entry_that_is_out_of_date_is_replaced() -> None:
    world = open_world()
    old = world.entry()
    world.service("wiki.default", isPublic=None)
    request = DictRequest(HTTP, token=world.token())
    decision = world.octovigil.decide(old, request, FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.UNAUTHENTICATED
    assert decision.service is world.entry()
    world.remove("Service", "wiki.default")
    decision = world.octovigil.decide(old, request, FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is not None


def test_a_listener_that_failed_before_ours_does_no_harm() -> None:
    world = open_world()
    assert world.ask().allowed
    world.replica.listeners.remove(world.octovigil._changed)
    world.user()
    assert not world.ask().allowed


def test_closing_ends_the_listening() -> None:
    world = World()
    world.octovigil.close()
    assert world.replica.listeners == []


def test_whatever_fails_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world()

    class Trap(DictRequest):
        @property
        def token(self) -> bytes:
            raise ZeroDivisionError

        @token.setter
        def token(self, value: object) -> None:
            pass

    decision = world.octovigil.decide(world.entry(), Trap({}), FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is not None

    def broken(_decision: Decision) -> object:
        raise ZeroDivisionError

    failing = Octovigil(world.replica, world.verifier, world.clock, broken)
    decision = failing.decide(world.entry(), DictRequest(), FrontDoor("192.0.2.7", 1))
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is None


# --- worked cases


def test_default_deny() -> None:
    decision = World().ask()
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.type is ReasonType.NO_POLICY_MATCH


def test_deny_comes_first_at_equal_priority() -> None:
    world = open_world()
    world.service("wiki.default", authorization=inline(deny(name="no")))
    decision = world.ask()
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.type is ReasonType.POLICY_MATCH
    assert decision.reason.details["policyMatch"]["ruleName"] == "no"


def test_a_lower_number_beats_deny() -> None:
    world = World()
    world.user(authorization=inline(allow(priority=-1)))
    world.service("wiki.default", authorization=inline(deny()))
    assert world.ask().allowed


def test_priorities_across_places() -> None:
    world = World()
    match = "ctx.user.spec.email == 'ann@example.com'"
    world.service("wiki.default", authorization=inline(allow(match, priority=1)))
    world.put("Namespace", "default", {"authorization": inline(deny(priority=2))})
    world.user("bob")
    world.session("bob-1", "bob")
    assert world.ask().allowed
    decision = world.ask(session="bob-1")
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.details["policyMatch"]["priority"] == 2


def test_a_missing_request_is_no_match() -> None:
    world = World()
    rules = [deny("ctx.request.http.path.startsWith('/admin')", priority=-1), allow()]
    world.user(authorization=inline(*rules))
    world.service("box.default", mode="SSH", isPublic=None)
    ssh = {"ssh": {"connect": {"user": "root"}}}
    assert world.ask("box.default", ssh, tunnel=True).allowed
    http = {"http": {**HTTP["http"], "path": "/admin/users"}}
    assert world.ask(request=http).outcome is Outcome.DENIED


def test_arithmetic_on_the_context_is_an_error() -> None:
    world = World()
    world.service(
        "wiki.default", port=8080, authorization=inline(allow("ctx.service.spec.port + 1 > 3"))
    )
    decision = world.ask()
    assert decision.outcome is Outcome.ERROR
    assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON
    assert "no such overload" in decision.error


def test_rights_of_a_session_are_its_own() -> None:
    world = World()
    world.session("ann-1", "ann", authorization=inline(allow()))
    world.session("ann-2", "ann")
    assert world.ask().allowed
    assert not world.ask(session="ann-2").allowed


def test_rules_that_are_not_reached_do_not_fail() -> None:
    world = World()
    rules = [allow(priority=-1), deny("1 / 0 > 1")]
    world.user(authorization=inline(*rules))
    assert world.ask().allowed
    world.user(authorization=inline(allow(priority=1), deny("1 / 0 > 1")))
    assert world.ask().outcome is Outcome.ERROR


def test_a_rule_without_a_condition_never_matches() -> None:
    world = World()
    world.user(authorization=inline({"effect": "ALLOW"}))
    assert world.ask().reason.type is ReasonType.NO_POLICY_MATCH


def test_the_built_in_policies_of_the_api() -> None:
    world = World()
    api = (
        "ctx.namespace.metadata.name == 'octelium-api' && ctx.service.spec.mode == 'GRPC'"
        " && !(ctx.request.grpc.serviceFullName in ['octelium.api.main.auth.v1.MainService'])"
    )
    world.policy(
        "read-only",
        allow(
            "ctx.request.grpc.method.startsWith('Get') || "
            "ctx.request.grpc.method.startsWith('List')",
            priority=-1,
        ),
        deny(),
        enforcementRules=[
            {"effect": "ENFORCE", "condition": {"match": api}},
            {"effect": "IGNORE", "condition": {"matchAny": True}},
        ],
    )
    world.put("Namespace", "octelium-api")
    world.service("default.octelium-api", mode="GRPC")
    world.user(authorization={"policies": ["read-only"], **inline(allow(priority=1))})

    def call(service: str, method: str) -> bool:
        grpc = {"serviceFullName": service, "method": method}
        return world.ask("default.octelium-api", {"grpc": grpc}).allowed

    core_service = "octelium.api.main.core.v1.MainService"
    auth_service = "octelium.api.main.auth.v1.MainService"
    for _ in range(2):
        assert call(core_service, "ListService")
        assert call(core_service, "GetService")
        assert not call(core_service, "DeleteService")
        assert call(auth_service, "Logout")
    assert world.ask("wiki.default").allowed


# --- random worlds

NAMES = ["a", "b", "b.a", "c.b.a"]
MATCHES = [
    "true",
    "false",
    "ctx.user.spec.type == 'HUMAN'",
    "ctx.user.spec.email == 'u0@example.com'",
    "'g0' in ctx.user.spec.groups",
    "ctx.groups.exists(g, g.spec.attrs.level == 1)",
    "ctx.device.spec.state == 'ACTIVE'",
    "!has(ctx.device)",
    "has(ctx.session.spec.authorization)",
    "ctx.service.spec.port == 80",
    "ctx.namespace.metadata.labels.tier == 'gold'",
    "attrs.level == 1",
    "attrs.level < ctx.request.http.bodyMap.x",
    "ctx.request.http.bodyMap.x == 1",
    "ctx.request.http.bodyMap.x == true",
    "ctx.request.http.bodyMap.x == '1'",
    "ctx.request.http.bodyMap.x == null",
    "has(ctx.request.http.bodyMap.x)",
    "!has(ctx.request.http.bodyMap.x)",
    "!has(ctx.request.http)",
    "'x' in ctx.request.http.bodyMap",
    "ctx.request.http.path.startsWith('/a')",
    "ctx.request.http.path == '/b' && ctx.user.spec.type == 'WORKLOAD'",
    "ctx.request.http.path == '/b' || ctx.user.metadata.name == 'u1'",
    "ctx.request.http.method in ['GET', 'HEAD']",
    "ctx.request.grpc.method == 'List'",
    "ctx.request.http.headers.size() > 1",
    "ctx.request.http[ctx.request.http.method] == 1",
    "ctx.user.metadata.name == ctx.request.http.headers.user",
    "1 / 0 > 1",
    "ctx.request.http.bodyMap.x + 1.0 > 1.0",
    "ctx.user.metadata.name",
    "now() > timestamp('2027-01-15T08:00:40Z')",
    "now() < timestamp('2027-01-15T08:01:00Z') && ctx.request.http.path == '/a'",
    "json.marshal(ctx).contains('u' + '2')",
    "json.marshal(ctx).contains('PO' + 'ST')",
    "json.marshal(ctx.request).contains('POST')",
    "ctx.request.http.bodyMap.x in [1, 'a']",
    "ctx.request.http.bodyMap.x == attrs.level",
    "cel.bind(x, ctx.request.http.bodyMap.x, x == true || x == '1')",
    "(ctx.request.http.method == 'GET' ? ctx.request.http.path : ctx.user.spec.type) == '/a'",
    "ctx.request.http.bodyMap == {}",
]
SENSITIVE = [text for text in MATCHES if "bodyMap" in text or "now()" in text]
VALUES: list[Any] = [1, True, 1.0, "1", None, "", 0, 2, "ABSENT", [], {}, ["1"]]


class RandomWorld:
    """A world that changes at random, and random requests to it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(memo_limit=self.random.choice([20_000, 200_000, 16_000_000]))
        for name in NAMES:
            self.change_policy(name)
        for name in ("default", "octelium-api"):
            self.change_namespace(name)
        for name in ("g0", "g1"):
            self.change_group(name)
        for name in ("u0", "u1", "u2"):
            self.change_user(name)
        for name in ("d0", "d1"):
            self.change_device(name)
        for name in ("s0", "s1", "s2", "s3"):
            self.change_session(name)
        self.services = ["wiki.default", "box.default", "api.octelium-api"]
        for name in self.services:
            self.change_service(name)
        self.pairs = [self.pair() for _ in range(4)]

    def some(self, choices: list[Any], chance: float = 0.5) -> list[Any]:
        return [choice for choice in choices if self.random.random() < chance]

    # Resources.

    def condition(self, depth: int = 0) -> dict[str, Any]:
        pick = self.random.random()
        if pick < 0.15 and depth < 2:
            form = self.random.choice(["all", "any", "none"])
            of = [self.condition(depth + 1) for _ in range(self.random.randint(1, 3))]
            return {form: {"of": of}}
        if pick < 0.3:
            return {"matchAny": self.random.random() < 0.7}
        return {self.random.choice(["match", "match", "not"]): self.random.choice(MATCHES)}

    def rule(self) -> dict[str, Any]:
        return {
            "name": f"r{self.random.randint(0, 10**6)}",
            "condition": self.condition(),
            "effect": self.random.choice(["ALLOW", "ALLOW", "DENY"]),
            "priority": self.random.randint(-4, 4),
        }

    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"rules": [self.rule() for _ in range(self.random.randint(0, 3))]}
        if self.random.random() < 0.3:
            spec["enforcementRules"] = [
                {"condition": self.condition(), "effect": self.random.choice(["ENFORCE", "IGNORE"])}
                for _ in range(self.random.randint(1, 2))
            ]
        if self.random.random() < 0.1:
            spec["isDisabled"] = True
        return spec

    def authorization(self) -> dict[str, Any]:
        found: dict[str, Any] = {"policies": self.some(NAMES, 0.25)}
        if self.random.random() < 0.4:
            # No attrs: those of an inline policy are compared by the named ones.
            found["inlinePolicies"] = [{"spec": self.spec()}]
        return found

    def change_policy(self, name: str) -> None:
        level = self.random.choice([{}, {"attrs": {"level": self.random.choice([1, 2, "1"])}}])
        self.world.put("Policy", name, {**self.spec(), **level})

    def change_namespace(self, name: str) -> None:
        labels = self.random.choice([{}, {"labels": {"tier": "gold"}}])
        self.world.put("Namespace", name, {"authorization": self.authorization()}, **labels)

    def change_group(self, name: str) -> None:
        attrs = {"attrs": {"level": self.random.choice([1, 2])}}
        self.world.put("Group", name, {"authorization": self.authorization(), **attrs})

    def change_user(self, name: str) -> None:
        spec: dict[str, Any] = {
            "type": self.random.choice(["HUMAN", "WORKLOAD"]),
            "groups": self.some(["g0", "g1"]),
            "isDisabled": self.random.random() < 0.05,
            "authorization": self.authorization(),
        }
        # Values that are all but equal must make a difference often.
        rules = [
            {**self.rule(), "condition": {"match": self.random.choice(SENSITIVE)}} for _ in range(2)
        ]
        spec["authorization"].setdefault("inlinePolicies", []).append({"spec": {"rules": rules}})
        status = {"isLocked": self.random.random() < 0.05}
        self.world.put("User", name, {"email": f"{name}@example.com", **spec}, status)

    def change_device(self, name: str) -> None:
        spec = {"state": self.random.choice(["ACTIVE", "ACTIVE", "PENDING"])}
        status = {"isLocked": self.random.random() < 0.1}
        self.world.put("Device", name, {**spec, "authorization": self.authorization()}, status)

    def change_session(self, name: str) -> None:
        now = self.world.now
        status: dict[str, Any] = {"isLocked": self.random.random() < 0.05}
        if self.random.random() < 0.1:
            status["authenticatorAction"] = self.random.choice(
                ["AUTHENTICATION_REQUIRED", "AUTHENTICATION_RECOMMENDED"]
            )
        if self.random.random() < 0.2:
            status["scopes"] = [
                self.random.choice(
                    [
                        {"service": {"all": {}}},
                        {"service": {"filter": {"names": ["wiki"], "namespaces": ["default"]}}},
                        {"api": {"all": {}}},
                        {"api": {"filter": {"packages": ["p.v1"], "services": ["*"],
                                            "methods": ["List"]}}},
                    ]
                )
            ]  # fmt: skip
        spec: dict[str, Any] = {
            "state": "PENDING" if self.random.random() < 0.05 else "ACTIVE",
            "expiresAt": stamp(now + self.random.choice([5, 86400, 86400, 86400])),
        }
        if self.random.random() < 0.5:
            spec["authorization"] = self.authorization()
        self.world.session(
            name,
            self.random.choice(["u0", "u1", "u2"]),
            kind=self.random.choice(["CLIENT", "CLIENT", "CLIENTLESS"]),
            device=self.random.choice(["", "", "d0", "d1"]),
            set_at=now - self.random.choice([0, 0, 3590]),
            address=self.random.choice(["", "192.0.2.1", "192.0.2.2"]),
            status=status,
            **spec,
        )

    def change_service(self, name: str) -> None:
        api = name == "api.octelium-api"
        authorization = self.authorization()
        spec: dict[str, Any] = {"port": self.random.choice([80, 81])}
        public = api or self.random.random() < 0.8
        spec["isPublic"] = public
        if public and self.random.random() < 0.2:
            spec["isAnonymous"] = True
            authorization["enableAnonymous"] = self.random.random() < 0.6
        if self.random.random() < 0.3:
            spec["dynamicConfig"] = {
                "configs": [{"name": "blue", "upstream": {"url": "http://127.0.0.1:1"}}],
                "rules": [
                    {"condition": self.condition(),
                     "configName": self.random.choice(["blue", "blue", "default", "nope"])}
                    for _ in range(self.random.randint(1, 2))
                ],
            }  # fmt: skip
        managed = {"status": {"managedService": {"type": "apiserver"}}} if api else {}
        self.world.service(
            name, mode="GRPC" if api else "HTTP", authorization=authorization, **managed, **spec
        )

    def change_cluster(self) -> None:
        spec: dict[str, Any] = {"ingress": {"useForwardedForHeader": self.random.random() < 0.5}}
        if self.random.random() < 0.3:
            spec["authorization"] = self.authorization()
        self.world.put("ClusterConfig", "default", spec)

    def change_trigger(self) -> None:
        now = self.world.now
        conditions: list[dict[str, Any]] = [
            {"matchAny": True},
            {"condition": self.condition()},
            {"notBefore": stamp(now + self.random.randint(-5, 20))},
            {"notAfter": stamp(now + self.random.randint(-5, 20))},
            {"userRef": {"uid": uid_of("User", "u0")}},
        ]
        pre_condition = self.random.choice(conditions)
        if self.random.random() < 0.3:
            form = self.random.choice(["any", "all"])
            pre_condition = {form: {"of": self.some(conditions)}}
        status = {"preCondition": pre_condition, **self.authorization()}
        self.world.put("PolicyTrigger", self.random.choice(["t0", "t1"]), status=status)

    def remove(self) -> None:
        kind, name = self.random.choice(
            [
                ("Policy", "c.b.a"),
                ("Policy", "b"),
                ("Session", "s3"),
                ("Device", "d1"),
                ("User", "u2"),
                ("Group", "g1"),
                ("PolicyTrigger", "t0"),
                ("PolicyTrigger", "t1"),
            ]
        )
        self.world.remove(kind, name)

    def change(self) -> None:
        pick = self.random.randint(0, 11)
        names = self.random.choice
        changes: dict[int, Callable[[], None]] = {
            0: lambda: self.change_policy(names(NAMES)),
            1: lambda: self.change_policy(names(NAMES)),
            2: lambda: self.change_namespace(names(["default", "octelium-api"])),
            3: lambda: self.change_group(names(["g0", "g1"])),
            4: lambda: self.change_user(names(["u0", "u1", "u2"])),
            5: lambda: self.change_device(names(["d0", "d1"])),
            6: lambda: self.change_session(names(["s0", "s1", "s2", "s3"])),
            7: lambda: self.change_service(names(self.services)),
            8: self.change_cluster,
            9: self.change_trigger,
            10: self.remove,
            11: lambda: self.change_session(names(["s0", "s1"])),
        }
        changes[pick]()

    # Requests.

    def pair(self) -> tuple[str, str, bool]:
        """A Service, a Session, and whether the request comes through its tunnel."""
        session = self.random.choice(["s0", "s0", "s1", "s1", "s2", "s3"] * 3 + ["nobody"])
        return self.random.choice(self.services), session, self.random.random() < 0.4

    def request(self) -> tuple[str, Request, Arrival]:
        """A request of one of the few pairs, so that the same plan meets different requests."""
        service, session, tunnel = self.random.choice(self.pairs)
        arrival: Arrival = FrontDoor("192.0.2.7", 1)
        token = self.world.token(session) if self.random.random() < 0.98 else None
        if tunnel:
            arrival = Tunnel(uid_of("Session", session), "100.65.0.2")
        if self.random.random() < 0.03:
            return service, NoRequest("192.0.2.1"), arrival
        http: dict[str, Any] = {
            "method": self.random.choice(["GET", "POST"]),
            "path": self.random.choice(["/a", "/b", "/" + "x" * 1100]),
            "headers": self.random.choice([{}, {"user": "u0"}, {"user": "u1", "b": "c"}]),
        }
        value = self.random.choice(VALUES)
        if self.random.random() < 0.5:
            http["bodyMap"] = {} if value == "ABSENT" else {"x": value}
        elif value == "ABSENT":
            http["bodyMap"] = self.random.choice([None, "text", []])
        context: dict[str, Any] = {"http": http}
        if service == "api.octelium-api":
            grpc = {
                "package": "p.v1",
                "service": "S",
                "method": self.random.choice(["List", "Get"]),
            }
            context = {"grpc": {"http": http, **grpc}}
        address = self.random.choice(["", "192.0.2.1", "192.0.2.2"])
        return service, DictRequest(context, token=token, client_address=address), arrival


def compared(decision: Decision) -> reference.Answer:
    """A decision in the terms of the reference."""
    match = decision.reason.details.get("policyMatch", {})
    return reference.Answer(
        decision.outcome.name,
        int(decision.reason.type),
        match.get("ruleName", ""),
        decision.config_name if decision.allowed else "",
    )


STEPS = int(os.environ.get("OCTELIUM_MEMO_STEPS", "5000"))
SEED = int(os.environ.get("OCTELIUM_SEED", "0")) or random.SystemRandom().randint(1, 10**9)


def test_remembered_decisions_are_fresh_ones() -> None:
    """At each step the world changes, time passes or a request comes, at random."""
    print(f"seed {SEED}; OCTELIUM_SEED={SEED} repeats this run")
    tried = 0
    outcomes: dict[str, int] = {}
    while tried < STEPS:
        chaos = RandomWorld(SEED + tried)
        for _ in range(min(500, STEPS)):
            tried += 1
            pick = chaos.random.random()
            if pick < 0.04:
                chaos.change()
                continue
            if pick < 0.06:
                chaos.world.now += chaos.random.choice([1, 5, 20])
                continue
            if pick < 0.1:
                chaos.pairs[chaos.random.randrange(4)] = chaos.pair()
            service, request, arrival = chaos.request()
            expected = reference.decide(chaos.world, service, request, arrival)
            decision = chaos.world.octovigil.decide(chaos.world.entry(service), request, arrival)
            assert compared(decision) == expected, (SEED, tried, decision.error)
            outcomes[expected.outcome] = outcomes.get(expected.outcome, 0) + 1
    # The worlds are no use if they all end the same way.
    assert set(outcomes) == {"ALLOWED", "DENIED", "UNAUTHENTICATED", "ERROR"}
    assert min(outcomes.values()) > STEPS // 100
