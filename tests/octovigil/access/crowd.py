"""Many Users and Services under random Policies, and every request that those can tell apart."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.request import DictRequest, NoRequest
from octelium.replica.arrival import Tunnel
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.octovigil.world import World, uid_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.policy.decision import Decision
    from octelium.policy.request import Request

ANY_MODE: Final = range(64)
"""Modes that decisions are compared for, whether or not anything serves them."""
METHODS: Final = ("GET", "POST", "PUT", "DELETE")
PATHS: Final = ("/", "/admin", "/admin/keys", "/public/x")
TEAMS: Final = (None, "ops", "dev", "other")
TYPES: Final = ("CLIENT", "CLIENTLESS")
LOGINS: Final = ("root", "guest")

KNOWN: Final = (
    "ctx.user.spec.type == 'HUMAN'",
    "ctx.user.metadata.name == 'u3'",
    "ctx.user.spec.attrs.level > 2.0",
    "ctx.groups.exists(g, g.metadata.name == 'g1')",
    "'g2' in ctx.user.spec.groups",
    "ctx.user.spec.missing == 'x'",
    "ctx.service.spec.isPublic",
    "ctx.service.metadata.name in ['s1.n0', 's2.n1']",
    "ctx.service.spec.mode == 'HTTP'",
    "ctx.namespace.metadata.name == 'n1'",
    "ctx.user.spec.attrs.level + double(ctx.service.status.port) > 82.0",
    "attrs.team == 'ops'",
    "has(ctx.user.spec.groups)",
    "ctx.session.spec.state == 'ACTIVE'",
    "ctx.session.status.userRef.name == ctx.user.metadata.name",
    "ctx.nothing == 1",
    "true",
)
UNKNOWN: Final = (
    "ctx.request.http.method == 'GET'",
    "ctx.request.http.method != 'GET'",
    "ctx.request.http.method in ['GET', 'POST']",
    "ctx.request.http.method in attrs.methods",
    "ctx.request.http.path.startsWith('/admin')",
    "ctx.request.http.path == '/admin/keys'",
    "ctx.request.http.headers['x-team'] == 'ops'",
    "ctx.request.http.headers['x-team'] == attrs.team",
    "'x-team' in ctx.request.http.headers",
    "ctx.session.status.type == 'CLIENT'",
    "ctx.session.status.type in ['CLIENT', 'CLIENTLESS']",
    "ctx.session.status.isBrowser",
    "has(ctx.session.status.isBrowser)",
    "has(ctx.request.ssh)",
    "ctx.request.ssh.connect.user == 'root'",
    "has(ctx.request.http.path)",
)
# Not within other expressions: beside missing data it depends on their order which error stands.
FAILING: Final = ("ctx.user.spec.attrs.level + 1 > 0", "net.isIPInRange('x', '10.0.0.0/8')")


class Crowd:
    """A random world of as many Users and Services."""

    def __init__(self, seed: int, users: int, services: int) -> None:
        self.random = random.Random(seed)
        self.world = World()
        self.users = [f"u{index}" for index in range(users)]
        self.services = [f"s{index}.n{index % 3}" for index in range(services)]
        self.policies = ["p0", "p1", "p1.p0", "p2", "p3", "p4", "p5", "p6"]
        for name in self.policies:
            self.put("Policy", name)
        for name in ("n0", "n1", "n2"):
            self.put("Namespace", name)
        for name in ("g0", "g1", "g2"):
            self.put("Group", name)
        for name in self.users:
            self.put("User", name)
            for kind, browser in itertools.product(TYPES, (False, True)):
                status = {"isBrowser": True} if browser else {}
                self.world.session(self.session(name, kind, browser=browser), name, kind=kind,
                                   status=status)  # fmt: skip
        for name in self.services:
            self.put("Service", name)
        self.put("ClusterConfig", "default")
        for index in range(3):
            self.put("PolicyTrigger", f"t{index}")
        self.world.remove("User", "ann")
        self.world.remove("Session", "ann-1")
        self.world.remove("Service", "wiki.default")

    def session(self, user: str, kind: str, *, browser: bool) -> str:
        """The name of one of a User's Sessions."""
        return f"{user}-{kind.lower()}{'-browser' if browser else ''}"

    # --- resources

    def put(self, kind: str, name: str) -> None:
        """Create a resource at random, or put another in its place."""
        random, world = self.random, self.world
        if kind == "Policy":
            world.put(kind, name, self.policy())
        elif kind in ("Namespace", "Group"):
            world.put(kind, name, {"authorization": self.authorization(0.5)})
        elif kind == "User":
            groups = random.sample(["g0", "g1", "g2"], random.choice([0, 0, 1, 2]))
            world.user(
                name,
                type=random.choice(["HUMAN", "WORKLOAD"]),
                groups=groups,
                attrs={"level": random.choice([1, 2, 3])},
                isDisabled=random.random() < 0.05,
                authorization=self.authorization(0.7),
            )
        elif kind == "Service":
            anonymous = random.random() < 0.1
            mode = "HTTP" if anonymous else random.choice(["HTTP", "HTTP", "SSH", "TCP"])
            authorization = self.authorization(0.7)
            authorization["enableAnonymous"] = random.random() < 0.7
            world.service(
                name,
                mode=mode,
                isPublic=anonymous or (mode == "HTTP" and random.random() < 0.6),
                isAnonymous=anonymous,
                isDisabled=random.random() < 0.05,
                authorization=authorization,
                dynamicConfig=self.dynamic(),
            )
        elif kind == "ClusterConfig":
            world.put(
                kind, name, {"authorization": self.authorization(0.2)}, {"domain": "example.com"}
            )
        else:
            world.put(
                kind,
                name,
                status={
                    "preCondition": self.pre_condition(2),
                    "isDisabled": random.random() < 0.3,
                    **self.authorization(1.0),
                },
            )

    def authorization(self, share: float) -> dict[str, Any]:
        """Attached Policies."""
        random = self.random
        if random.random() > share:
            return {}
        made: dict[str, Any] = {}
        if random.random() < 0.8:
            made["policies"] = random.sample(self.policies, random.choice([1, 1, 2]))
        if random.random() < 0.3:
            made["inlinePolicies"] = [{"spec": self.policy()}]
        if random.random() < 0.004:
            made["policies"] = ["gone"]
        return made

    def policy(self) -> dict[str, Any]:
        """The spec of a Policy."""
        random = self.random
        spec: dict[str, Any] = {
            "rules": [self.rule() for _ in range(random.choice([1, 2, 3]))],
            "attrs": {"team": random.choice(["ops", "dev"]), "methods": ["GET", "PUT"]},
            "isDisabled": random.random() < 0.05,
        }
        if random.random() < 0.3:
            spec["enforcementRules"] = [
                {"effect": random.choice(["ENFORCE", "IGNORE"]), "condition": self.condition(1)}
                for _ in range(random.choice([1, 2]))
            ]
        return spec

    def rule(self) -> dict[str, Any]:
        """A rule."""
        random = self.random
        return {
            "effect": random.choice(["ALLOW", "ALLOW", "ALLOW", "DENY"]),
            "priority": random.choice([-1, 0, 0, 0, 1]),
            "condition": self.condition(2),
        }

    def condition(self, depth: int) -> dict[str, Any]:
        """A condition over what is known and what is not."""
        random = self.random
        form = random.choice(["match", "match", "match", "not", "all", "any", "none", "matchAny"])
        if form == "matchAny":
            return {"matchAny": random.random() < 0.8}
        if random.random() < 0.02:
            return {"match": random.choice(FAILING)}
        if form in ("match", "not") or not depth:
            return {"not" if form == "not" else "match": self.expression(2)}
        count = random.choice([1, 2, 3])
        return {form: {"of": [self.condition(depth - 1) for _ in range(count)]}}

    def expression(self, depth: int) -> str:
        """An expression."""
        random = self.random
        form = random.choice(["leaf", "leaf", "&&", "||", "!", "?"]) if depth else "leaf"
        if form == "leaf":
            pool = random.choice([KNOWN, UNKNOWN, UNKNOWN])
            return random.choice(pool)
        one, two = self.expression(depth - 1), self.expression(depth - 1)
        if form == "!":
            return f"!({one})"
        if form == "?":
            return f"({random.choice(KNOWN[:6])}) ? ({one}) : ({two})"
        return f"({one}) {form} ({two})"

    def pre_condition(self, depth: int) -> dict[str, Any]:
        """When a trigger applies."""
        random = self.random
        form = random.choice(
            ["matchAny", "condition", "any", "all", "userRef", "groupRef", "serviceRef",
             "notBefore", "notAfter", "namespaceRef", "sessionRef"]
        )  # fmt: skip
        if form == "matchAny":
            return {form: random.random() < 0.5}
        if form == "condition":
            return {form: self.condition(1)}
        if form in ("notBefore", "notAfter"):
            return {form: random.choice(["2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"])}
        if form in ("any", "all") and depth:
            return {form: {"of": [self.pre_condition(depth - 1) for _ in range(2)]}}
        kind, names = {
            "groupRef": ("Group", ["g0", "g1"]),
            "serviceRef": ("Service", self.services),
            "namespaceRef": ("Namespace", ["n0", "n1"]),
            "sessionRef": ("Session", ["another"]),
        }.get(form, ("User", self.users))
        name = random.choice(names)
        return {
            {"any": "userRef", "all": "userRef"}.get(form, form): {
                "kind": kind, "name": name, "uid": uid_of(kind, name)
            }
        }  # fmt: skip

    def dynamic(self) -> dict[str, Any] | None:
        """Dynamic configuration, which seldom fails."""
        random = self.random
        if random.random() > 0.2:
            return None
        name = random.choice(["one", "one", "gone"])
        return {
            "configs": [{"name": "one", "upstream": {"url": "http://127.0.0.1:1"}}],
            "rules": [{"condition": self.condition(1), "configName": name}],
        }

    # --- everything that can be asked

    def requests(self, service: str) -> Iterator[Request]:
        """Every request to a Service that conditions can tell apart."""
        kind = self.mode(service)
        if kind == "HTTP":
            for method, path, team in itertools.product(METHODS, PATHS, TEAMS):
                yield DictRequest({"http": http(method, path, team)})
        elif kind == "SSH":
            for login in LOGINS:
                yield DictRequest({"ssh": {"connect": {"user": login}}})
        else:
            yield NoRequest()

    def mode(self, service: str) -> str:
        """The mode of a Service."""
        form: str = self.world.entry(service).json["spec"]["mode"]
        return form

    def decisions(self, user: str, service: str) -> Iterator[tuple[str, Request, Decision]]:
        """What the decision point says to each request from each usable Session."""
        entry = self.world.entry(service)
        types = TYPES if entry.is_public else TYPES[:1]
        for kind, browser in itertools.product(types, (False, True)):
            session = self.session(user, kind, browser=browser)
            arrival = Tunnel(uid_of("Session", session), "100.65.0.2")
            for request in self.requests(service):
                yield session, request, self.world.octovigil.settle(entry, request, arrival)

    def verdict(self, user: str, service: str) -> int:
        """What becomes of a pair: by trying everything."""
        allowed = {decision.allowed for _, _, decision in self.decisions(user, service)}
        if len(allowed) == 2:
            return ext.AccessVerdict__.DEPENDS
        return ext.AccessVerdict__.ALLOWED if True in allowed else ext.AccessVerdict__.REFUSED


def http(method: str, path: str, team: str | None = None) -> dict[str, Any]:
    """`ctx.request.http` with everything that each request has."""
    headers = {"host": "wiki"}
    if team is not None:
        headers["x-team"] = team
    return {
        "method": method,
        "path": path,
        "uri": path,
        "host": "wiki",
        "scheme": "https",
        "headers": headers,
    }
