"""Sessions as they should be, in plain Python, beside a Cluster that has the same done to it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.identity.admission import GRACE
from octelium.identity.devices import Devices
from octelium.identity.tokens import Verifier
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.decision import Outcome
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from octelium.replica.follower import LocalFeed
from octelium.replica.replica import Replica
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference
from tests.identity.authenticators.people import open_people
from tests.identity.cluster import ACCESS_TOKEN, AUTH_TOKEN, OAUTH2, add_credential, add_user
from tests.identity.providers import add_provider

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from octelium.identity.admission import IssuedTokens
    from octelium.store.transaction import Transaction

T = TypeVar("T")
STATES: Final = core.SessionSpecState__
HOUR: Final = 3600
LIMIT: Final = 3
LIFETIME: Final = {"alice": 6 * HOUR, "robot": 12 * HOUR, "guest": 21 * HOUR}
ACCESS: Final = {"alice": 2 * HOUR, "robot": 4 * HOUR, "guest": 4 * HOUR}
REFRESH: Final = {"alice": 4 * HOUR, "robot": 8 * HOUR, "guest": 21 * HOUR}
"""Short ones, so that all kinds of ends meet."""
_SERVICE: Final = {
    "kind": "Service",
    "metadata": {"name": "wiki.default"},
    "spec": {
        "mode": "HTTP",
        "isPublic": True,
        "config": {"upstream": {"url": "http://127.0.0.1:1"}},
        "authorization": {
            "inlinePolicies": [
                {"spec": {"rules": [{"effect": "ALLOW", "condition": {"matchAny": True}}]}}
            ]
        },
    },
}
_LOOKED_AT: Final = 24
"""Tokens that are tried after each step, the newest ones."""
_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where writing costs nothing: what is stored is not to survive."""
_REQUEST: Final = {"http": {"method": "GET", "path": "/", "headers": {}}}


@dataclass
class Held:
    """A Session as it should be."""

    user: str
    kind: str
    """`client`, `program` or `browser`."""
    ends_at: int
    set_at: int
    credential: str = ""
    provider: str = ""
    state: int = STATES.ACTIVE
    locked: bool = False
    required: bool = False
    """Whether an Authenticator is needed first."""
    device: str = ""
    earlier: list[int] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Of its current authentication."""
        return len(self.earlier)


@dataclass(frozen=True)
class Pair:
    """Tokens that were issued once, and the authentication that they belong to."""

    access: str
    refresh: str
    uid: str
    number: int
    set_at: int
    user: str


class Life:
    """A Cluster with the Users alice, robot and guest, and what should be true of it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.held: dict[str, Held] = {}
        self.pairs: list[Pair] = []
        self.barred: set[str] = set()
        """Names of Users, Credentials and IdentityProviders that are disabled."""
        self.credentials: dict[str, Any] = {}
        self.gone: set[str] = set()
        """Names of Credentials and Users that were deleted."""
        self.used: dict[str, int] = {}
        self.devices: dict[str, tuple[str, str, int]] = {}
        """By id: uid, owner, state."""
        self.unfinished: dict[str, int] = {}
        """When Authenticators that are not registered were made."""
        self.pending_for_people = False
        self.run(self._begin())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _begin(self) -> None:
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(dir=_MEMORY))
        self.people = await self._stack.enter_async_context(open_people(Path(directory)))
        self.cluster = cluster = self.people.cluster
        self.users: dict[str, core.User] = {"alice": cluster.alice, "robot": cluster.robot}
        await cluster.write(self._furnish)
        first = await self.people.session()
        self.totp, self.secret = await self.people.add_totp(first)
        await cluster.delete(first.session)
        self.devices_of_clients = Devices(cluster.resources, cluster.keyring, clock=cluster.clock)
        self.replica = Replica()
        feed = LocalFeed(cluster.resources, self.replica)
        feed.start()
        self._stack.callback(feed.close)
        verifier = Verifier({}, clock=cluster.clock)
        self.octovigil = Octovigil(self.replica, verifier, cluster.clock)
        self._stack.callback(self.octovigil.close)

    def _furnish(self, tx: Transaction) -> None:
        self.users["guest"] = add_user(tx, "guest", human=True)
        for name in ("alice", "robot", "guest"):
            user = tx.get(core.User, name=name)
            settings = user.spec.session
            settings.max_per_user = LIMIT
            if name != "guest":  # whose are the ones by default
                settings.client_duration.hours = LIFETIME[name] // HOUR
                settings.clientless_duration.hours = LIFETIME[name] // HOUR
                settings.access_token_duration.hours = ACCESS[name] // HOUR
                settings.refresh_token_duration.hours = REFRESH[name] // HOUR
            if name != "guest":
                kind = "okta" if name == "alice" else "k8s"
                user.spec.authentication.identities.add(identity_provider=kind, identifier=name)
            if name == "alice":
                user.spec.authentication.identities.add(identity_provider="github", identifier=name)
            labels = user.metadata.spec_labels
            for identity in user.spec.authentication.identities:
                labels[f"auth-{identity.identity_provider}"] = name
            self.users[name] = tx.update(user)
        self.providers = {
            "okta": add_provider(tx, "okta"),
            "github": add_provider(tx, "github", "github"),
            "k8s": add_provider(tx, "k8s", "workload"),
        }
        now = int(self.cluster.clock())
        alice, robot = self.users["alice"], self.users["robot"]
        once = {"max_authentications": 2, "auto_delete": True, "expires_at": now + 10 * HOUR}
        self.credentials = {
            "of alice": add_credential(tx, alice, AUTH_TOKEN),
            "twice": add_credential(tx, alice, AUTH_TOKEN, **once),
            "of robot": add_credential(tx, robot, AUTH_TOKEN),
            "of guest": add_credential(tx, self.users["guest"], AUTH_TOKEN),
            "secret": add_credential(tx, robot, OAUTH2),
            "access": add_credential(tx, robot, ACCESS_TOKEN),
        }
        namespace = core.Namespace()
        namespace.metadata.name = "default"
        namespace = tx.create(namespace)
        service = from_json(core.Service, _SERVICE)
        service.status.namespace_ref.CopyFrom(reference(namespace))
        tx.create(service)

    def close(self) -> None:
        self.run(self._stack.aclose())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    # --- what should be true

    @property
    def now(self) -> int:
        return int(self.cluster.clock())

    def owner(self, credential: str) -> str:
        return {"twice": "alice", "secret": "robot", "access": "robot"}.get(
            credential, credential.removeprefix("of ")
        )

    def counts(self, credential: str) -> bool:
        """Whether a Credential can be used at all."""
        if credential in self.gone or credential in self.barred:
            return False
        if credential != "twice":
            return True
        return self.used.get("twice", 0) < 2 and self.now < self._ends(credential)

    def _ends(self, credential: str) -> float:
        spec = self.credentials[credential].spec
        return spec.expires_at.seconds if spec.HasField("expires_at") else float("inf")

    def lives(self, held: Held) -> bool:
        return self.now < held.ends_at

    def is_full(self, user: str, without: str = "") -> bool:
        own = [uid for uid, held in self.held.items() if held.user == user and self.lives(held)]
        return len(set(own) - {without}) >= LIMIT

    def renews(self, pair: Pair) -> Held | None:
        """The Session that a refresh token belongs to, if the token counts."""
        held = self.held.get(pair.uid)
        if held is None or not pair.refresh or held.number != pair.number:
            return None
        if self.now >= pair.set_at + REFRESH[held.user] or not self.lives(held):
            return None
        return None if held.locked or held.state == STATES.REJECTED else held

    def was_replaced(self, pair: Pair) -> bool:
        """Whether newer tokens have replaced one so long ago that it must be a copy."""
        held = self.held.get(pair.uid)
        if held is None or not pair.refresh or held.number <= pair.number or not self.lives(held):
            return False
        if self.now >= pair.set_at + REFRESH[held.user]:
            return False
        if held.locked or held.state == STATES.REJECTED:
            return False
        moments = [held.set_at, *held.earlier]
        return self.now - moments[held.number - pair.number - 1] > GRACE

    def make_room(self, provider: str) -> bool:
        """Forget the oldest Session of a workload, as a new one of its IdentityProvider does."""
        known = [
            (held.set_at, uid)
            for uid, held in self.held.items()
            if held.provider == provider
            and held.state == STATES.ACTIVE
            and not held.locked
            and self.lives(held)
        ]
        if not known:
            return False
        oldest = min(moment for moment, _ in known)
        self.forget(next(uid for moment, uid in known if moment == oldest))
        return True

    def too_early(self, held: Held) -> bool:
        recent = sum(moment > self.now - HOUR for moment in held.earlier)
        return self.now - held.set_at < ACCESS[held.user] / 2 and recent >= 5

    def is_usable(self, held: Held) -> bool:
        device = self.devices.get(held.device)
        return (
            held.state == STATES.ACTIVE
            and self.lives(held)
            and self.now < held.set_at + ACCESS[held.user]
            and not held.locked
            and not held.required
            and held.user not in self.barred
            and (device is None or device[2] == core.DeviceSpecState__.ACTIVE)
        )

    def outcome(self, pair: Pair) -> Outcome:
        held = self.held.get(pair.uid)
        if held is None or held.number != pair.number or not self.lives(held):
            return Outcome.UNAUTHENTICATED
        if self.now >= pair.set_at + ACCESS[pair.user]:
            return Outcome.UNAUTHENTICATED
        return Outcome.ALLOWED if self.is_usable(held) else Outcome.DENIED

    def first_state(self, user: str) -> int:
        return STATES.PENDING if self.pending_for_people and user != "robot" else STATES.ACTIVE

    # --- what was done

    def began(self, issued: IssuedTokens, user: str, kind: str, **more: Any) -> None:
        held = Held(user, kind, self.now + LIFETIME[user], self.now, **more)
        held.state = self.first_state(user)
        uid = issued.session.metadata.uid
        assert uid not in self.held
        self.held[uid] = held
        self._keep(issued, held)

    def renewed(self, issued: IssuedTokens) -> Held:
        held = self.held[issued.session.metadata.uid]
        held.earlier.insert(0, held.set_at)
        held.set_at = self.now
        self._keep(issued, held)
        return held

    def _keep(self, issued: IssuedTokens, held: Held) -> None:
        uid = issued.session.metadata.uid
        tokens = issued.access_token, issued.refresh_token
        self.pairs.append(Pair(*tokens, uid, held.number, self.now, held.user))

    def forget(self, *uids: str) -> None:
        for uid in uids:
            del self.held[uid]

    # --- what is

    def decided(self, token: str) -> Outcome:
        """What the data plane says of a request with an access token."""
        (service,) = self.replica.services.values()
        request = DictRequest(_REQUEST, token=token.encode())
        arrival = FrontDoor("192.0.2.1", 40_000)
        return self.octovigil.settle(service, request, arrival).outcome

    def check(self) -> None:
        """Whether everything is as it should be."""
        stored = {session.metadata.uid: session for session in self.cluster.sessions()}
        assert stored.keys() == self.held.keys()
        assert self.replica.sessions.keys() == stored.keys()
        for uid, session in stored.items():
            held, entry = self.held[uid], self.replica.sessions[uid]
            current = session.status.authentication
            assert (session.spec.state, session.status.is_locked) == (held.state, held.locked)
            assert session.spec.expires_at.seconds == held.ends_at == entry.expires_at
            assert current.set_at.seconds == held.set_at
            assert session.status.total_authentications == held.number + 1
            assert (entry.token_id, entry.state) == (current.token_id, held.state)
            earlier = [each.set_at.seconds for each in session.status.last_authentications]
            assert earlier == held.earlier
        for user in self.users:
            assert not self.is_full(user) or self._have(user) == LIMIT
        authentication = self.cluster.authentication
        for pair in self.pairs[-_LOOKED_AT:]:
            wanted = self.outcome(pair)
            assert self.decided(pair.access) is wanted
            assert self.decided(pair.refresh) is Outcome.UNAUTHENTICATED
            holder = authentication.holder_of_access_token(pair.access)
            assert (holder is None) == (wanted is Outcome.UNAUTHENTICATED)
            shown = authentication.browser_session(pair.refresh)
            owner = self.renews(pair)
            is_shown = owner is not None and owner.kind == "browser"
            is_shown = is_shown and pair.user not in self.barred
            assert (shown is not None) == is_shown

    def _have(self, user: str) -> int:
        return sum(held.user == user and self.lives(held) for held in self.held.values())
