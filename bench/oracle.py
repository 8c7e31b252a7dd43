"""A Cluster of Policies for measurements, and the C++ evaluator deciding on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel

from octelium.policy.cel import environment
from octelium.policy.decision import Decision
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World, allow, deny, inline, uid_of

if TYPE_CHECKING:
    from octelium.replica.replica import Entry, Replica, SessionEntry

ATTACHED: Final = 10
RULES: Final = (
    'ctx.user.spec.type == "WORKLOAD" && "ops{0}" in ctx.user.spec.groups',
    'ctx.request.http.path.startsWith("/admin{0}")',
    'ctx.namespace.metadata.name == "prod{0}" && ctx.request.http.method in ["POST", "PUT"]',
    'has(ctx.user.metadata.labels.team) && ctx.user.metadata.labels.team == "t{0}"',
    """ctx.session.status.authentication.info.aal == "AAL3"
    && ctx.groups.exists(g, g.metadata.name == "g{0}")""",
)
"""What each attached Policy denies, with its number: none of it matches, so all are tried."""

ARRIVAL: Final = FrontDoor("192.0.2.7", 40000)
_HEADERS: Final = {f"x-field-{number}": "v" * 20 for number in range(12)}
_SERVICE: Final = "wiki.default"


def context(path: str = "/articles/42", method: str = "GET") -> dict[str, Any]:
    """`ctx.request` of a request with twelve header fields."""
    return {"ip": "192.0.2.7", "http": {"path": path, "method": method, "headers": _HEADERS}}


class Decisions:
    """A User with many Sessions, to whom ten Policies of five rules each are attached.

    `stored` Policies exist. `rules` are the texts that deny.
    """

    def __init__(
        self, stored: int = ATTACHED, sessions: int = 1, rules: tuple[str, ...] = RULES
    ) -> None:
        self.world = world = World()
        self.rules = [text.format(number) for number in range(ATTACHED) for text in rules]
        for number in range(stored):
            texts = [text.format(number) for text in rules]
            world.policy(f"p{number}", *[deny(text, priority=-1) for text in texts])
        attached = [f"p{number}" for number in range(ATTACHED)]
        world.put("Group", "g")
        world.user(groups=["g"], authorization={"policies": attached})
        world.service(_SERVICE, authorization=inline(allow(priority=2)))
        names = [f"ann-{number}" for number in range(1, sessions + 1)]
        for name in names:
            world.session(name, "ann")
        self.tokens = [world.token(name) for name in names]
        self.sessions = [world.replica.sessions[uid_of("Session", name)] for name in names]
        self.octovigil = world.octovigil
        self.service = world.entry(_SERVICE)
        # Whoever cannot wait has everything compiled here and now.
        self.octovigil.settle(self.service, self.request(), ARRIVAL)

    def request(self, number: int = 0, form: dict[str, Any] | None = None) -> DictRequest:
        """A request of the Session of that number."""
        return DictRequest(context() if form is None else form, token=self.tokens[number])

    def decide(self, request: DictRequest) -> Decision:
        """The decision on it."""
        decision = self.octovigil.decide(self.service, request, ARRIVAL)
        assert isinstance(decision, Decision)
        return decision

    def forget(self) -> None:
        """Leave nothing remembered of any decision."""
        self.octovigil.memo.clear()


@dataclass(frozen=True)
class _Rule:
    order: tuple[int, bool]
    program: Any
    """None: it always holds."""


class Oracle:
    """The same decisions by Google's C++ evaluator, with all expressions compiled before."""

    def __init__(self, decisions: Decisions) -> None:
        self._environment = environment.environment()
        self._decisions = decisions
        self._replica: Replica = decisions.world.replica
        self._policies = {
            entry.uid: self._compiled(entry.message.spec)
            for entry in self._replica.policies.values()
        }
        self._inline = {decisions.service.uid: self._inline_of(decisions.service)}
        self._ordered = self._rules(decisions.sessions[0])
        self.contexts = [self.context(each, context()) for each in decisions.sessions]
        """`ctx` of each Session, ready made."""

    def evaluate(self, ctx: dict[str, Any]) -> bool:
        """Conversion of a ready `ctx` and the evaluation of the rules, already in order."""
        return _first(self._ordered, self._environment.Activation({"ctx": ctx, "attrs": {}}))

    def decide(self, session: SessionEntry, request: dict[str, Any]) -> bool:
        """The same from the entries of the replica: who takes part, what is attached, `ctx`."""
        rules = self._rules(session)
        ctx = self.context(session, request)
        return _first(rules, self._environment.Activation({"ctx": ctx, "attrs": {}}))

    def context(self, session: SessionEntry, request: dict[str, Any]) -> dict[str, Any]:
        """`ctx` of the JSON forms that the entries keep."""
        service, user = self._decisions.service, self._replica.users[session.user_uid]
        return {
            "service": service.json,
            "namespace": self._replica.namespaces[service.namespace_uid].json,
            "session": session.json,
            "user": user.json,
            "groups": [self._replica.groups_by_name[name].json for name in user.groups],
            "request": request,
        }

    def _rules(self, session: SessionEntry) -> list[_Rule]:
        service, user = self._decisions.service, self._replica.users[session.user_uid]
        groups = [self._replica.groups_by_name[name] for name in user.groups]
        namespace = self._replica.namespaces[service.namespace_uid]
        rules: list[_Rule] = []
        owners: list[Entry[Any]] = [service, namespace, user, *groups, session]
        for owner in owners:
            for name in owner.message.spec.authorization.policies:
                rules += self._policies[self._replica.policies_by_name[name].uid]
            rules += self._inline.get(owner.uid, [])
        rules.sort(key=lambda rule: rule.order)
        return rules

    def _inline_of(self, owner: Entry[Any]) -> list[_Rule]:
        policies = owner.message.spec.authorization.inline_policies
        return [rule for policy in policies for rule in self._compiled(policy.spec)]

    def _compiled(self, spec: core.PolicySpec) -> list[_Rule]:
        return [
            _Rule(
                (rule.priority, rule.effect == core.PolicySpecRuleEffect__.ALLOW),
                self._environment.compile(rule.condition.match)
                if rule.condition.WhichOneof("type") == "match"
                else None,
            )
            for rule in spec.rules
        ]


def _first(rules: list[_Rule], activation: Any) -> bool:
    """Whether the first rule that holds allows."""
    for rule in rules:
        if rule.program is None:
            return rule.order[1]
        value = rule.program.eval(activation)
        if value.type() != cel.Type.ERROR and value.value() is True:
            return rule.order[1]
    return False
