"""A preview of 500 Users, 200 Services and 100,000 logged requests."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from octelium.octovigil.access.logged import LoggedRequest
from octelium.octovigil.access.preview import preview
from octelium.replica.replica import Replica
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW: Final = 1_800_000_000.0
USERS: Final = 500
GROUPS: Final = 20
SERVICES: Final = 200
NAMESPACES: Final = 5
POLICIES: Final = 50
RULES: Final = 5
LOGGED: Final = 100_000

_TEAMS: Final = ("ops", "dev", "sales", "support")
_METHODS: Final = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
_UNKNOWN: Final = frozenset({("http", "headers")})

_CONDITIONS: Final = (
    "ctx.user.spec.type == 'HUMAN'",
    "ctx.user.spec.email.endsWith('@example.com')",
    "ctx.user.metadata.name == 'user-{number}'",
    "ctx.groups.exists(g, g.metadata.name == 'group-{group}')",
    "'group-{group}' in ctx.user.spec.groups",
    "ctx.user.spec.attrs.team == '{team}'",
    "ctx.service.metadata.name.startsWith('service-{group}')",
    "ctx.namespace.metadata.name == 'ns{namespace}'",
    "ctx.user.spec.attrs.team == ctx.service.spec.attrs.team",
    "ctx.request.http.method == 'GET'",
    "ctx.request.http.method in ['GET', 'HEAD'] && ctx.user.spec.attrs.team == '{team}'",
    "ctx.request.http.path.startsWith('/admin/{group}')",
    "ctx.request.http.path.startsWith('/home/' + ctx.user.metadata.name)",
    "ctx.session.status.type == 'CLIENT'",
    "ctx.session.status.isBrowser && ctx.request.http.method != 'DELETE'",
    "ctx.request.http.headers['x-team'] == ctx.user.spec.attrs.team",
)


class Figures(NamedTuple):
    """Seconds of one preview, and what it found."""

    seconds: float
    changes: int
    logged: int
    undecided: int


def measure() -> dict[str, Figures]:
    """Preview a change that touches everything, and one of a single Policy."""
    before = make_replica()
    logged = list(make_log(before))
    found = {}
    for name, change in (("everything", cluster_change()), ("one policy", policy_change())):
        after = before.fork()
        after.revise([change])
        start = time.perf_counter()
        response = preview(before, after, logged, clock=lambda: NOW)
        seconds = time.perf_counter() - start
        assert response.pairs == USERS * SERVICES
        assert response.logged_requests == LOGGED
        count = sum(each.count for each in response.logged)
        found[name] = Figures(seconds, len(response.changes), count, response.undecided)
    return found


def make_replica(seed: int = 1) -> Replica:
    """A Cluster of the usual kind, but large."""
    replica = Replica()
    changes = list(_resources(random.Random(seed)))
    replica.apply(feed.Commit(revision=1, changes=changes, snapshot_begin=True, snapshot_end=True))
    return replica


def cluster_change() -> feed.Change:
    """A rule of the ClusterConfig that applies to everybody."""
    rule = _rule("ctx.request.http.path.startsWith('/admin')", "DENY", -2)
    spec = {"authorization": {"inlinePolicies": [{"spec": {"rules": [rule]}}]}}
    return _change("ClusterConfig", "default", spec, {"domain": "example.com"})


def policy_change() -> feed.Change:
    """Another version of one Policy."""
    rule = _rule("ctx.request.http.method == 'DELETE'", "DENY", -2)
    return _change("Policy", "policy-7", {"rules": [rule]})


def make_log(replica: Replica, seed: int = 2) -> Iterator[LoggedRequest]:
    """Requests to all Services, newest first."""
    rand = random.Random(seed)
    users = sorted(replica.users.values(), key=lambda entry: entry.name)
    services = sorted(replica.services.values(), key=lambda entry: entry.name)
    for number in range(LOGGED):
        user, service = rand.choice(users), rand.choice(services)
        method = rand.choice(_METHODS)
        path = rand.choice(
            ("/", "/admin/3/x", f"/home/{user.name}", f"/items/{rand.randrange(1000)}")
        )
        http = {
            "method": method,
            "path": path,
            "uri": path,
            "host": service.name,
            "scheme": "https",
            "headers": {"host": service.name, "user-agent": "Mozilla/5.0"},
        }
        yield LoggedRequest(
            id=f"{number:x}",
            at=NOW - number,
            service=service.uid,
            session=_uid("Session", f"{user.name}-session"),
            user=user.uid,
            method=method,
            path=path,
            request={"http": http, "ip": f"192.0.2.{number % 250}"},
            unknown=_UNKNOWN,
            address=f"192.0.2.{number % 250}",
        )


def _resources(rand: random.Random) -> Iterator[feed.Change]:
    yield _change("ClusterConfig", "default", {}, {"domain": "example.com"})
    for index in range(POLICIES):
        rules = [
            _rule(
                _condition(rand), rand.choice(["ALLOW", "ALLOW", "DENY"]), rand.choice([-1, 0, 1])
            )
            for _ in range(RULES)
        ]
        yield _change("Policy", f"policy-{index}", {"rules": rules})
    for index in range(NAMESPACES):
        yield _change("Namespace", f"ns{index}", {"authorization": _attached(rand, 1)})
    for index in range(GROUPS):
        yield _change("Group", f"group-{index}", {"authorization": _attached(rand, 2)})
    for index in range(SERVICES):
        namespace = f"ns{index % NAMESPACES}"
        spec = {
            "mode": "HTTP",
            "isPublic": index % 4 != 0,
            "config": {"upstream": {"url": "http://127.0.0.1:8080"}},
            "attrs": {"team": rand.choice(_TEAMS)},
            "authorization": _attached(rand, 3),
        }
        ref = {"name": namespace, "uid": _uid("Namespace", namespace)}
        yield _change("Service", f"service-{index}.{namespace}", spec, {"namespaceRef": ref})
    for index in range(USERS):
        yield from _user(rand, index)


def _user(rand: random.Random, index: int) -> Iterator[feed.Change]:
    name = f"user-{index}"
    groups = [f"group-{number}" for number in rand.sample(range(GROUPS), 2)]
    spec = {
        "type": "HUMAN" if index % 5 else "WORKLOAD",
        "email": f"{name}@example.com",
        "groups": groups,
        "attrs": {"team": rand.choice(_TEAMS)},
        "authorization": _attached(rand, 1),
    }
    yield _change("User", name, spec)
    status = {
        "userRef": {"name": name, "uid": _uid("User", name)},
        "type": "CLIENT",
        "authentication": {
            "tokenID": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "setAt": "2027-01-15T07:00:00Z",
            "accessTokenDuration": {"hours": 4},
        },
    }
    session = {"state": "ACTIVE", "expiresAt": "2027-01-16T00:00:00Z"}
    yield _change("Session", f"{name}-session", session, status)


def _attached(rand: random.Random, count: int) -> dict[str, Any]:
    return {"policies": [f"policy-{n}" for n in rand.sample(range(POLICIES), count)]}


def _condition(rand: random.Random) -> str:
    return rand.choice(_CONDITIONS).format(
        number=rand.randrange(USERS),
        group=rand.randrange(GROUPS),
        namespace=rand.randrange(NAMESPACES),
        team=rand.choice(_TEAMS),
    )


def _rule(match: str, effect: str, priority: int) -> dict[str, Any]:
    return {"effect": effect, "priority": priority, "condition": {"match": match}}


def _change(
    kind: str, name: str, spec: dict[str, Any], status: dict[str, Any] | None = None
) -> feed.Change:
    uid = _uid(kind, name)
    form = {
        "apiVersion": "core/v1",
        "kind": kind,
        "metadata": {"name": name, "uid": uid},
        "spec": spec,
        "status": status or {},
    }
    message = from_json(KINDS[kind].message, form)
    return feed.Change(kind=kind, uid=uid, name=name, data=message.SerializeToString())


def _uid(kind: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}"))


if __name__ == "__main__":
    for title, figures in measure().items():
        print(title, figures)
