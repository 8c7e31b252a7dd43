"""A Cluster that exists in memory only, behind the seam of `octelium.tui.data`."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octelium.client.accesslog import Entry
from octelium.client.errors import ApiError, ClientError
from octelium.schema.documents import dump_yaml
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.tui import changing
from octelium.tui.changing import Plan
from octelium.tui.data import Invited, Update
from octelium.tui.feeds import Feed
from octelium.tui.journal import access_row, attempt_row
from octelium.tui.lines import Line, Tone, difference, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.schema.kinds import Kind
    from octelium.tui.kinds import View
    from octelium.tui.rows import Row

NOW = 1_900_000_000.0
LINK = "https://octelium.localhost:8443/invite#AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde"


def item(kind: str, name: str, *, age: float = 3600, **parts: Any) -> Any:
    """A stored resource."""
    made = from_json(
        KINDS[kind].message,
        {"apiVersion": "core/v1", "kind": kind, "metadata": {"name": name}, "spec": {}, **parts},
    )
    made.metadata.uid = f"00000000-0000-4000-8000-{zlib.crc32(f'{kind} {name}'.encode()):012d}"
    made.metadata.resource_version = "1"
    made.metadata.created_at.seconds = int(NOW - age)
    return made


def access(number: int, *, user: str, service: str, path: str, allowed: bool, code: int) -> Entry:
    """An entry of the access log."""
    log = core.AccessLog()
    log.metadata.id = f"aaaa-bbbb-24-0000-{number:04d}"
    common = log.entry.common
    common.started_at.FromNanoseconds(int((NOW - 60 + number) * 1e9))
    common.ended_at.FromNanoseconds(
        int((NOW - 60 + number) * 1e9) + 12_000_000 + number * 1_000_000
    )
    common.user_ref.name = user
    common.session_ref.name = f"{user}-x7k2"
    common.service_ref.name = service
    statuses = core.AccessLogEntryCommonStatus__
    common.status = statuses.ALLOWED if allowed else statuses.DENIED
    reasons = core.AccessLogEntryCommonReasonType__
    common.reason.type = reasons.POLICY_MATCH if allowed else reasons.NO_POLICY_MATCH
    if allowed:
        common.reason.details.policy_match.policy.policy_ref.name = "staff"
    http = log.entry.info.http
    http.request.method, http.request.uri = "GET", path
    http.response.code = code
    return Entry(log, "" if code < 500 else "upstream refused the connection")


def attempt(number: int, *, who: str, outcome: str, reason: str = "") -> ext.AuthenticationLogEntry:
    """An entry of the authentication log."""
    entry = ext.AuthenticationLogEntry(
        id=f"cccc-{number}", way="passkey", outcome=outcome, reason=reason,
        client_address="198.51.100.7", country="CH", user_agent="Mozilla/5.0",
    )  # fmt: skip
    entry.user.name = who
    entry.at.seconds = int(NOW - 60 + number)
    return entry


@dataclass
class Fake:
    """Resources by kind; feeds give what is there, and then what `push` and `log_more` add."""

    items: dict[str, list[Any]] = field(default_factory=dict)
    accesses: list[Entry] = field(default_factory=list)
    attempts: list[ext.AuthenticationLogEntry] = field(default_factory=list)
    domain: str = "octelium.localhost"
    failing: ClientError | None = None
    done: list[tuple[str, ...]] = field(default_factory=list)
    begun: list[tuple[str, ...]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None
    feeds: list[Feed[Any]] = field(default_factory=list)
    _added: list[Any] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def push(self, update: Any) -> None:
        """Give every open feed something more."""
        with self._more:
            self._added.append(update)
            self._more.notify_all()

    def _wait(self) -> None:
        if self.gate is not None:
            assert self.gate.wait(300)
        if self.failing is not None:
            raise self.failing

    def whoami(self) -> str:
        return "root"

    def can(self, kind: Kind | None) -> frozenset[str]:
        if kind is None:
            return frozenset()
        service = core.DESCRIPTOR.services_by_name["MainService"]
        verbs = ("Create", "Update", "Delete")
        return frozenset(v for v in verbs if f"{v}{kind.name}" in service.methods_by_name)

    def _feed(self, taken: int, first: list[Any], *, is_log: bool = False) -> Feed[Any]:
        """A feed of what there is, and of what is added after the first `taken`."""

        def produce(feed: Feed[Any]) -> Iterator[Any]:
            nonlocal taken
            self._wait()
            yield None
            yield from first
            while True:
                with self._more:
                    while len(self._added) == taken:
                        self._more.wait(0.02)
                        feed.pause(0)
                    new = self._added[taken:]
                    taken = len(self._added)
                # A feed that is about to be stopped may be of the other sort.
                yield from (one for one in new if isinstance(one, Update) is not is_log)

        feed: Feed[Any] = Feed(produce, name="fake")
        self.feeds.append(feed)
        return feed.start()

    def rows(self, view: View) -> Feed[Update]:
        assert view.kind is not None or view.id in ("service", "namespace")
        kind = view.kind.name if view.kind else view.id.capitalize()
        taken = len(self._added)
        rows = [view.row(one) for one in self.items.get(kind, [])]
        return self._feed(taken, [Update(rows, whole=True)])

    def log(self, view: View, narrowed: dict[str, str]) -> Feed[tuple[Row, Any]]:
        taken = len(self._added)
        if view.id == "authlog":
            return self._feed(
                taken, [(attempt_row(one), one) for one in self.attempts], is_log=True
            )
        wanted = [
            one
            for one in self.accesses
            if narrowed.get("service", "") in ("", one.log.entry.common.service_ref.name)
        ]
        return self._feed(taken, [(access_row(one), one) for one in wanted], is_log=True)

    def find(self, kind: str, name: str) -> Any:
        for one in self.items.get(kind, []):
            if one.metadata.name == name:
                return one
        raise ApiError("NOT_FOUND", f"there is no {kind} {name}", "", "look at the list again")

    def describe(self, view: View, name: str) -> list[Line]:
        self._wait()
        found = self.find(view.kind.name if view.kind else view.id.capitalize(), name)
        return [Line("Spec:", Tone.HEADING), *told(dump_yaml([found]))]

    def yaml(self, view: View, name: str) -> list[Line]:
        return self.describe(view, name)[1:]

    def get(self, kind: Kind, name: str) -> Any:
        self._wait()
        found = self.find(kind.name, name)
        return type(found).FromString(found.SerializeToString())

    def used_by(self, kind: Kind, name: str) -> list[Line]:
        self._wait()
        return told(f"What uses {kind.name} {name}", Tone.HEADING) + told("  wiki.default")

    def access(self, kind: Kind, name: str) -> list[Line]:
        return told(f"allowed  {name}", Tone.GOOD)

    def subjects(self) -> list[tuple[str, str]]:
        self._wait()
        kinds = ("Service", "User")
        return [(kind, one.metadata.name) for kind in kinds for one in self.items.get(kind, [])]

    def effect(self, kind: Kind, name: str, columns: int) -> list[Line]:
        return [
            *told(f"If {kind.name} {name} were disabled", Tone.HEADING),
            *told("- ann  wiki.default  allowed → refused", Tone.BAD),
        ]

    def explain(self, entry_id: str) -> list[Line]:
        self._wait()
        return [
            *told("Refused, as no rule of any Policy allows it.", Tone.BAD),
            *told("Request GET /admin of User ann to Service wiki.default", Tone.DIM),
            Line(""),
            *told("What would turn it round", Tone.HEADING),
            *told("  add Group ops to User ann"),
            *told(f"  ({entry_id})", Tone.DIM),
        ]

    def health(self) -> list[Line]:
        return [*told("ok      workers: 2 answer", Tone.GOOD),
                *told("warn    certificate: ends within 9 days", Tone.WARN)]  # fmt: skip

    def status(self) -> list[Line]:
        return told("Cluster:    octelium.localhost\nUser:       root")

    def counts(self) -> dict[str, int]:
        kinds = ("Service", "User", "Session", "Device")
        return {KINDS[kind].plural: len(self.items.get(kind, [])) for kind in kinds}

    def plan(self, kind: Kind, original: Any, text: str) -> Plan:
        document = changing.check(kind, original, text)
        before = changing.content(changing.text_of_resource(original)) if original else ""
        after = changing.content(text)
        plan = Plan(kind, document, original)
        plan.is_empty = before == after
        gone = [f"-{line}" for line in before.splitlines() if line not in after.splitlines()]
        new = [f"+{line}" for line in after.splitlines() if line not in before.splitlines()]
        plan.lines = difference("\n".join(["--- cluster", "+++ new", *gone, *new]))
        return plan

    def preview(self, plan: Plan, columns: int) -> list[Line]:
        return told("+ ann  wiki.default  refused → allowed", Tone.GOOD)

    def _add(self, kind: Kind, name: str) -> None:
        """A new resource, of which no feed tells."""
        self.items.setdefault(kind.name, []).append(item(kind.name, name))

    def carry_out(self, plan: Plan) -> str:
        self._wait()
        self.done.append(("apply", plan.kind.name, plan.name))
        if plan.original is None:
            self._add(plan.kind, plan.name)
        return f"{plan.kind.name} {plan.name} updated"

    def delete(self, kind: Kind, name: str) -> str:
        self.begun.append(("delete", kind.name, name))
        self._wait()
        self.done.append(("delete", kind.name, name))
        found = self.find(kind.name, name)
        self.items[kind.name].remove(found)
        self.push(Update(removed=[found.metadata.uid]))
        return f"{kind.name} {name} deleted"

    def set_state(self, kind: Kind, name: str, state: str) -> str:
        self.done.append(("state", kind.name, name, state))
        return f"{kind.name} {name} is {state.lower()}"

    def set_value(self, kind: Kind, name: str, value: str, *, is_new: bool) -> str:
        self.done.append(("value", kind.name, name, "new" if is_new else "old"))
        self.values[name] = value
        if is_new:
            self._add(kind, name)
        return f"{kind.name} {name} has a new value"

    def token(self, name: str) -> list[Line]:
        self.done.append(("token", name))
        return told("AQpp-token")

    def invite(self, name: str) -> Invited:
        self.done.append(("invite", name))
        return Invited(name, LINK, int(NOW) + 900)


def small() -> Fake:
    """A little of everything."""
    public = {"spec": {"mode": "HTTP", "isPublic": True,
                       "authorization": {"policies": ["staff"]}}}  # fmt: skip
    items = {
        "Service": [
            item("Service", "wiki.default", age=86_400 * 30, **public),
            item("Service", "db.prod", spec={"mode": "POSTGRES"}, status={"port": 5432}),
            item("Service", "default.octelium-api", spec={"mode": "GRPC"}),
        ],
        "User": [
            item("User", "ann", spec={"type": "HUMAN", "groups": ["ops"], "email": "ann@x.ch"}),
            item("User", "ci", spec={"type": "WORKLOAD", "isDisabled": True}),
        ],
        "Session": [
            item("Session", "ann-x7k2",
                 spec={"state": "ACTIVE", "expiresAt": "2030-03-18T00:00:00Z"},
                 status={"type": "CLIENT", "userRef": {"name": "ann"}, "isConnected": True}),
            item("Session", "bob-q9", spec={"state": "PENDING"},
                 status={"type": "CLIENTLESS", "userRef": {"name": "bob"}}),
        ],
        "Device": [item("Device", "laptop", spec={"state": "PENDING"},
                        status={"userRef": {"name": "ann"}, "osType": "LINUX", "hostname": "t14"})],
        "Authenticator": [item("Authenticator", "key-1", spec={"state": "ACTIVE"},
                               status={"userRef": {"name": "ann"}, "type": "FIDO",
                                       "isRegistered": True})],
        "Policy": [item("Policy", "staff", spec={"rules": [
            {"effect": "ALLOW", "condition": {"matchAny": True}}]})],
        "Secret": [item("Secret", "api-key")],
        "Config": [item("Config", "app")],
        "Group": [item("Group", "ops", spec={"authorization": {"policies": ["staff"]}})],
        "Namespace": [item("Namespace", "default"), item("Namespace", "prod")],
        "Credential": [item("Credential", "ann-token", spec={"type": "AUTH_TOKEN", "user": "ann"})],
        "IdentityProvider": [item("IdentityProvider", "github", status={"type": "GITHUB"})],
        "Gateway": [item("Gateway", "default-gw", status={"regionRef": {"name": "default"}})],
        "Region": [item("Region", "default")],
        "ClusterConfig": [item("ClusterConfig", "default")],
    }  # fmt: skip
    accesses = [
        access(1, user="ann", service="wiki.default", path="/", allowed=True, code=200),
        access(2, user="bob", service="wiki.default", path="/admin", allowed=False, code=403),
        access(3, user="ann", service="db.prod", path="/x", allowed=True, code=502),
    ]
    attempts = [
        attempt(1, who="ann", outcome="succeeded"),
        attempt(2, who="", outcome="refused", reason="no such User"),
    ]
    return Fake(items, accesses, attempts)
