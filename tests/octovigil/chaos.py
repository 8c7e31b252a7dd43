"""A Cluster that changes at random, random requests to it, and streams that stay open."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.request import DictRequest, NoRequest, Request
from octelium.replica.arrival import Arrival, FrontDoor, Tunnel
from tests.octovigil import reference
from tests.octovigil.expressions import (
    COMPUTED,
    FAILING,
    FAMILIES,
    MATCHES,
    SENSITIVE,
    VALUES,
    WHOLE,
)
from tests.octovigil.world import SERVICE_CONFIG, START, World, stamp, uid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.octovigil.watch import StreamWatch
    from octelium.policy.decision import Decision
    from octelium.replica.replica import ServiceEntry

NAMES: Final = ["a", "b", "b.a", "c.b.a"]
NAMESPACES: Final = ["default", "octelium-api"]
GROUPS: Final = ["g0", "g1"]
USERS: Final = ["u0", "u1", "u2"]
DEVICES: Final = ["d0", "d1"]
SESSIONS: Final = ["s0", "s1", "s2", "s3"]
SERVICES: Final = ["wiki.default", "box.default", "api.octelium-api"]
TRIGGERS: Final = ["t0", "t1"]

_MOMENT: Final = 0.002
"""Seconds by which a timer may be late."""
_MAX_STREAMS: Final = 6


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when somebody says so; it must never be idle."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        """Seconds."""
        return self.now


class Stream:
    """A stream that was allowed, and what its watch said since."""

    def __init__(self, service: ServiceEntry, session_uid: str, request: Request) -> None:
        self.service = service
        self.session_uid = session_uid
        self.request = request
        self.refusals: list[Decision] = []
        self.handle: StreamWatch | None = None


class Chaos:
    """A world that changes at random. Needs to be driven within a `VirtualLoop`.

    With `triggers` it may begin with PolicyTriggers; otherwise they come later, if at all.
    """

    def __init__(self, seed: int, loop: VirtualLoop, *, triggers: bool = False) -> None:
        self.random = random.Random(seed)
        self.loop = loop
        self.world = World(memo_limit=self.random.choice([20_000, 200_000, 16_000_000]))
        self.known: dict[str, ServiceEntry] = {}
        self.tokens: dict[tuple[str, str, float | None], bytes] = {}
        self.uids: dict[tuple[str, str], str] = {}
        self.values = self.random.choice(FAMILIES) + self.random.sample(VALUES, 2)
        self.last: dict[str, dict[str, Any]] = {}
        self.streams: list[Stream] = []
        self.ended: list[Stream] = []
        self.told = 0
        """Streams that were refused."""
        for kind, names, change in self.kinds():
            for name in names:
                if kind != "PolicyTrigger" or (triggers and self.rarely(0.5)):
                    change(name)
        self.pairs = [self.pair() for _ in range(3)]
        loop.now = self.world.now - START

    def some(self, choices: list[Any], chance: float = 0.5) -> list[Any]:
        return [choice for choice in choices if self.random.random() < chance]

    def rarely(self, chance: float) -> bool:
        return self.random.random() < chance

    # --- conditions and Policies

    def condition(self, depth: int = 0) -> dict[str, Any]:
        pick = self.random.random()
        if pick < 0.15 and depth < 2:
            form = self.random.choice(["all", "any", "none"])
            of = [self.condition(depth + 1) for _ in range(self.random.randint(1, 3))]
            return {form: {"of": of}}
        if pick < 0.3:
            return {"matchAny": self.random.random() < 0.7}
        texts = self.random.choices([MATCHES, FAILING, WHOLE], [30, 3, 1])[0]
        return {self.random.choice(["match", "match", "not"]): self.random.choice(texts)}

    def rule(self) -> dict[str, Any]:
        return {
            "name": f"r{self.random.randint(0, 10**6)}",
            "condition": self.condition(),
            "effect": self.random.choice(["ALLOW", "ALLOW", "DENY"]),
            "priority": self.random.randint(-4, 4),
        }

    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"rules": [self.rule() for _ in range(self.random.randint(0, 3))]}
        if self.rarely(0.3):
            spec["enforcementRules"] = [
                {"condition": self.condition(), "effect": self.random.choice(["ENFORCE", "IGNORE"])}
                for _ in range(self.random.randint(1, 2))
            ]
        if self.rarely(0.4):
            spec["attrs"] = {"level": self.random.choice([1, 2, "1", True, None])}
        if self.rarely(0.1):
            spec["isDisabled"] = True
        return spec

    def authorization(self) -> dict[str, Any]:
        found: dict[str, Any] = {"policies": self.some(NAMES, 0.25)}
        if self.rarely(0.4):
            found["inlinePolicies"] = [
                {"spec": self.spec()} for _ in range(self.random.randint(1, 2))
            ]
        return found

    # --- resources

    def kinds(self) -> list[tuple[str, list[str], Callable[[str], None]]]:
        """Kinds, the names of their resources, and how one is put anew."""
        return [
            ("Policy", NAMES, self.change_policy),
            ("Namespace", NAMESPACES, self.change_namespace),
            ("Group", GROUPS, self.change_group),
            ("User", USERS, self.change_user),
            ("Device", DEVICES, self.change_device),
            ("Session", SESSIONS, self.change_session),
            ("Service", SERVICES, self.change_service),
            ("ClusterConfig", ["default"], self.change_cluster),
            ("PolicyTrigger", TRIGGERS, self.change_trigger),
        ]

    def uid(self, kind: str, name: str) -> str:
        return self.uids.get((kind, name), uid_of(kind, name))

    def change_policy(self, name: str) -> None:
        self.world.put("Policy", name, self.spec(), uid=self.uid("Policy", name))

    def change_namespace(self, name: str) -> None:
        labels = self.random.choice([{}, {"labels": {"tier": "gold"}}])
        self.world.put("Namespace", name, {"authorization": self.authorization()}, **labels)

    def change_group(self, name: str) -> None:
        attrs = {"attrs": {"level": self.random.choice([1, 2])}}
        spec = {"authorization": self.authorization(), **attrs}
        self.world.put("Group", name, spec, uid=self.uid("Group", name))

    def change_user(self, name: str) -> None:
        spec: dict[str, Any] = {
            "type": self.random.choice(["HUMAN", "WORKLOAD"]),
            "groups": self.some(GROUPS),
            "isDisabled": self.rarely(0.05),
            "authorization": self.authorization(),
        }
        # Values that are all but equal must make a difference often.
        rules = [
            {**self.rule(), "condition": {"match": self.random.choice(SENSITIVE)}} for _ in range(2)
        ]
        spec["authorization"].setdefault("inlinePolicies", []).append({"spec": {"rules": rules}})
        status = {"isLocked": self.rarely(0.05)}
        self.world.put("User", name, {"email": f"{name}@example.com", **spec}, status)

    def change_device(self, name: str) -> None:
        spec = {"state": self.random.choice(["ACTIVE", "ACTIVE", "PENDING"])}
        status = {"isLocked": self.rarely(0.1)}
        self.world.put("Device", name, {**spec, "authorization": self.authorization()}, status)

    def change_session(self, name: str) -> None:
        now = self.world.now
        begun = int(now) - self.random.choice([0, 0, 0, 3590])
        authentication: dict[str, Any] = {
            "tokenID": uid_of("token", f"{name}-{self.random.choice('aaaaaaab')}"),
            "setAt": stamp(begun),
            "accessTokenDuration": {"hours": 1},
        }
        if address := self.random.choice(["", "192.0.2.1", "192.0.2.2"]):
            authentication["info"] = {"downstream": {"ipAddress": address}}
        status: dict[str, Any] = {
            "isLocked": self.rarely(0.05),
            "authentication": authentication,
            "lastAuthentications": [{"tokenID": "old"}] * self.random.choice([0, 0, 2]),
        }
        if self.rarely(0.1):
            status["authenticatorAction"] = self.random.choice(
                ["AUTHENTICATION_REQUIRED", "REGISTRATION_REQUIRED", "AUTHENTICATION_RECOMMENDED"]
            )
        if self.rarely(0.2):
            status["scopes"] = [self.random.choice(_SCOPES)]
        spec: dict[str, Any] = {
            "state": "PENDING" if self.rarely(0.05) else "ACTIVE",
            "expiresAt": stamp(int(now) + self.random.choice([5, 60, *[86400] * 6])),
        }
        if self.rarely(0.5):
            spec["authorization"] = self.authorization()
        self.world.session(
            name,
            self.random.choice(USERS),
            kind=self.random.choice(["CLIENT", "CLIENT", "CLIENTLESS"]),
            device=self.random.choice(["", "", *DEVICES]),
            status=status,
            **spec,
        )

    def change_service(self, name: str) -> None:
        api = name == "api.octelium-api"
        authorization = self.authorization()
        spec: dict[str, Any] = {
            "port": self.random.choice([80, 81]),
            "isPublic": api or self.rarely(0.8),
            "isDisabled": self.rarely(0.03),
        }
        if spec["isPublic"] and self.rarely(0.2):
            spec["isAnonymous"] = True
            authorization["enableAnonymous"] = self.rarely(0.6)
        if self.rarely(0.2):
            spec["config"] = {"upstream": {"url": "http://127.0.0.1:81"}}
        if self.rarely(0.3):
            spec["dynamicConfig"] = {
                "configs": [{"name": "blue", "upstream": {"url": "http://127.0.0.1:1"}}],
                "rules": [self.config_rule() for _ in range(self.random.randint(1, 2))],
            }
        managed = {"status": {"managedService": {"type": "apiserver"}}} if api else {}
        full = {"config": SERVICE_CONFIG, **spec}
        mode = "GRPC" if api else self.random.choice(["HTTP", "HTTP", "WEB"])
        self.world.service(name, mode=mode, authorization=authorization, **managed, **full)
        if name in self.world.replica.service_by_name:
            self.known[name] = self.world.entry(name)

    def config_rule(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"condition": self.condition()}
        if self.rarely(0.3):
            return {**rule, "eval": self.random.choice(COMPUTED)}
        return {**rule, "configName": self.random.choice(["blue", "blue", "default", "nope"])}

    def change_cluster(self, name: str) -> None:
        spec: dict[str, Any] = {"ingress": {"useForwardedForHeader": self.rarely(0.5)}}
        if self.rarely(0.3):
            spec["authorization"] = self.authorization()
        self.world.put("ClusterConfig", name, spec)

    def pre_condition(self, depth: int = 0) -> dict[str, Any]:
        if self.rarely(0.3) and depth < 2:
            parts = [self.pre_condition(depth + 1) for _ in range(self.random.randint(0, 3))]
            return {self.random.choice(["any", "all"]): {"of": parts}}
        now = int(self.world.now)
        kind, name = self.random.choice(
            [
                ("Session", "s0"),
                ("User", "u0"),
                ("Service", "wiki.default"),
                ("Namespace", "default"),
                ("Group", "g0"),
                ("Device", "d0"),
            ]
        )
        instants = [
            {"notBefore": stamp(now + self.random.choice([-5, 0, 1, 5, 20, 600]))},
            {"notAfter": stamp(now + self.random.choice([-5, 0, 1, 5, 20, 600]))},
        ]
        choices: list[dict[str, Any]] = [
            *instants,
            {"matchAny": self.rarely(0.7)},
            {"condition": self.condition()},
            *instants,
            {f"{kind.lower()}Ref": {"uid": self.uid(kind, name)}},
            {},
        ]
        return self.random.choice(choices)

    def change_trigger(self, name: str) -> None:
        status = {"preCondition": self.pre_condition(), **self.authorization()}
        if self.rarely(0.5):
            # It decides whenever it applies.
            rule = {**self.rule(), "condition": {"matchAny": True}, "priority": -4}
            status["inlinePolicies"] = [{"spec": {"rules": [rule]}}]
        if self.rarely(0.1):
            status["isDisabled"] = True
        self.world.put("PolicyTrigger", name, status=status)

    def remove(self) -> None:
        kind, names, _ = self.random.choice(self.kinds())
        name = self.random.choice(names)
        self.world.remove(kind, name, self.uid(kind, name))
        if kind in {"Policy", "Group"}:
            # What comes back under this name is another resource.
            self.uids[kind, name] = uid_of(kind, f"{name}-{self.random.randint(0, 10**6)}")

    def change(self) -> None:
        """Something changes, is created or goes."""
        if self.rarely(0.1):
            self.remove()
            return
        if self.rarely(0.02):
            self.world.reconnect()
            return
        if self.rarely(0.3):
            self.change_session(self.random.choice(SESSIONS))
            return
        if self.rarely(0.1):
            self.change_trigger(self.random.choice(TRIGGERS))
            return
        _, names, change = self.random.choice(self.kinds())
        change(self.random.choice(names))

    def changes(self) -> None:
        """One commit, often of one change; several commits at times."""
        for _ in range(self.random.choice([1, 1, 1, 2])):
            if self.rarely(0.3):
                with self.world.together():
                    for _ in range(self.random.randint(1, 3)):
                        self.change()
            else:
                self.change()
        for name, entry in tuple(self.known.items()):
            self.known[name] = self.world.replica.services.get(entry.uid, entry)

    async def pass_time(self) -> None:
        """Some seconds pass, or a good hour; everything that is due happens."""
        seconds = self.random.choice([1, 1, 5, 5, 20, 20, 60, 60, 600, 4000])
        self.world.now += seconds + _MOMENT
        self.loop.now = self.world.now - START
        await self.settle()
        if seconds > 60:
            for name in self.some(SESSIONS):
                self.change_session(name)  # clients sign in again
            await self.settle()

    async def settle(self) -> None:
        """Let everything run that is ready; then look whether the streams were told."""
        for _ in range(20):
            await asyncio.sleep(0)
        self.check_streams()

    # --- requests

    def pair(self) -> tuple[str, str, bool]:
        """A Service, a Session, and whether the request comes through its tunnel."""
        session = self.random.choice(["s0", "s0", "s1", "s1", "s2", "s3"] * 3 + ["nobody"])
        return self.random.choice(SERVICES), session, self.rarely(0.4)

    def token(self, session: str) -> bytes | None:
        if self.rarely(0.02):
            return None
        lasting = int(self.world.now) // 600 * 600 + 1200
        key = session, self.random.choice("aaaaaaab"), None if self.rarely(0.9) else lasting
        if key not in self.tokens:
            token_id = uid_of("token", f"{session}-{key[1]}")
            end = self.world.now + 10**6 if key[2] is None else key[2]
            self.tokens[key] = self.world.token(session, token_id=token_id, expires_at=end)
        return self.tokens[key]

    def request(self) -> tuple[ServiceEntry, DictRequest | NoRequest, Arrival]:
        """A request of one of the few pairs, so that the same plan meets different requests."""
        name, session, tunnel = self.random.choice(self.pairs)
        service = self.known[name]
        arrival: Arrival = FrontDoor("192.0.2.7", 1)
        token = self.token(session)
        if tunnel:
            arrival = Tunnel(uid_of("Session", session), "100.65.0.2")
        if self.rarely(0.03):
            return service, NoRequest("192.0.2.1"), arrival
        http = self.http(name)
        context: dict[str, Any] = {"http": http}
        if name == "api.octelium-api":
            method = self.random.choice(["List", "Get"])
            call = {"package": "p.v1", "service": "S", "method": method}
            context = {"grpc": {"http": http, **call}}
        elif self.rarely(0.02):
            context = self.random.choice([{}, {"http": None}, {"http": []}, {"ssh": {}}])
        if self.rarely(0.2):
            context["ip"] = "192.0.2.1"
        repeated = [("http", "headers", "user")] if self.rarely(0.03) else []
        address = self.random.choice(["", "192.0.2.1", "192.0.2.1", "192.0.2.2"])
        made = DictRequest(context, token=token, client_address=address, repeated=repeated)
        return service, made, arrival

    def http(self, service: str) -> dict[str, Any]:
        """Much like the last request to this Service."""
        http = dict(self.last.get(service, {}))
        for part in self.some([*_PARTS], 0.3) if http else _PARTS:
            if part == "bodyMap":
                http.pop(part, None)
                value = self.random.choice(self.values)
                if value == "ABSENT":
                    odd = [None, "text", [], [1], {"x": {"y": 1}}, {}]
                    http.update(self.random.choice([{}, {part: self.random.choice(odd)}]))
                else:
                    http[part] = {"x": value}
            else:
                http[part] = self.random.choice(_PARTS[part])
        self.last[service] = http
        return http

    # --- streams

    def open(
        self, service: ServiceEntry, request: Request, arrival: Arrival, decision: Decision
    ) -> None:
        """The allowed request becomes a stream that stays open."""
        if len(self.streams) >= _MAX_STREAMS:
            return
        session = decision.session
        stream = Stream(service, "" if session is None else session.uid, request)
        stream.handle = self.world.octovigil.watch(
            decision, service, request, arrival, stream.refusals.append
        )
        self.streams.append(stream)

    def close(self) -> None:
        """A client ends its stream."""
        if self.streams:
            stream = self.streams.pop(self.random.randrange(len(self.streams)))
            assert stream.handle is not None
            stream.handle.cancel()
            self.ended.append(stream)

    def check_streams(self) -> None:
        """Who may not go on was told once, and nobody else."""
        for stream in tuple(self.streams):
            expected = reference.decide_stream(
                self.world, stream.service.uid, stream.request, stream.session_uid
            )
            if expected.outcome == "ALLOWED":
                assert stream.refusals == [], stream.refusals
                continue
            assert [compared(refusal) for refusal in stream.refusals] == [expected]
            self.streams.remove(stream)
            stream.refusals.clear()
            self.ended.append(stream)
            self.told += 1
        assert all(stream.refusals == [] for stream in self.ended)


def compared(decision: Decision) -> reference.Answer:
    """A decision in the terms of the reference."""
    match = decision.reason.details.get("policyMatch", {})
    config = ""
    if decision.allowed:
        url = "" if decision.config is None else decision.config.upstream.url
        config = f"{decision.config_name} {url}"
    return reference.Answer(
        decision.outcome.name, int(decision.reason.type), match.get("ruleName", ""), config
    )


_PARTS: Final[dict[str, list[Any]]] = {
    "method": ["GET", "GET", "POST"],
    "path": ["/a", "/a", "/b", "/" + "x" * 1100],
    "headers": [{}, {"user": "u0"}, {"user": "u1", "b": "c"}, {"b": "c", "user": "u1"}],
    "bodyMap": [],
}

_SCOPES: Final[list[dict[str, Any]]] = [
    {"service": {"all": {}}},
    {"service": {"filter": {"names": ["wiki"], "namespaces": ["default"]}}},
    {"api": {"all": {}}},
    {"api": {"filter": {"packages": ["p.v1"], "services": ["*"], "methods": ["List"]}}},
]
