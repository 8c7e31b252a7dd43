"""A small Cluster in a replica, for tests of decisions."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from octelium.identity.tokens import Signer, TokenType
from octelium.identity.tokens import Verifier as TokenVerifier
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor, Tunnel
from octelium.replica.replica import Replica, ServiceEntry
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.policy.decision import Decision

START = 1_800_000_000.0
"""Unix seconds at which the world begins: 2027-01-15T08:00:00Z, a Friday."""

SERVICE_CONFIG: dict[str, Any] = {"upstream": {"url": "http://127.0.0.1:8080"}}

HTTP: dict[str, Any] = {
    "ip": "192.0.2.7",
    "http": {"method": "GET", "path": "/", "headers": {"host": "wiki.example.com"}},
}


def uid_of(kind: str, name: str) -> str:
    """The uid that a resource of this name has in every world."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}"))


def stamp(seconds: float) -> str:
    """RFC 3339."""
    import datetime as dt

    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")


class World:
    """Resources, a clock, a signing key and a decision point over them.

    It begins with the Namespace `default`, the User `ann` with the Session `ann-1` of type CLIENT,
    and the public HTTP Service `wiki.default`; nothing is allowed.
    """

    def __init__(self, replica: Replica | None = None, **options: Any) -> None:
        """With `replica`, the resources are put into that one."""
        self.replica = Replica() if replica is None else replica
        self.now = START
        self.revision = self.replica.revision
        self._stored: dict[tuple[str, str], feed.Change] = {}
        self._held: list[feed.Change] | None = None
        self.key_uid = uid_of("VerificationKey", "key")
        self.key = Ed25519PrivateKey.generate()
        self.signer = Signer(self.key_uid, self.key)
        self.verifier = TokenVerifier({}, clock=self.clock)
        self.octovigil = Octovigil(self.replica, self.verifier, self.clock, **options)
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._commit(feed.Change(kind="VerificationKey", uid=self.key_uid, name="key", data=public))
        self.put("ClusterConfig", "default", status={"domain": "example.com"})
        self.put("Namespace", "default")
        self.put("User", "ann", spec={"type": "HUMAN", "email": "ann@example.com"})
        self.session("ann-1", "ann")
        self.service("wiki.default")

    def clock(self) -> float:
        """Unix seconds."""
        return self.now

    # --- resources

    def put(
        self,
        kind: str,
        name: str,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> None:
        """Create or replace a resource."""
        uid = metadata.setdefault("uid", uid_of(kind, name))
        form = {
            "apiVersion": "core/v1",
            "kind": kind,
            "metadata": {
                "name": name,
                "resourceVersion": str(self.revision + 1),
                **metadata,
            },
            "spec": spec or {},
            "status": status or {},
        }
        message = from_json(KINDS[kind].message, form)
        self._commit(feed.Change(kind=kind, uid=uid, name=name, data=message.SerializeToString()))

    def remove(self, kind: str, name: str, uid: str = "") -> None:
        """Delete a resource."""
        uid = uid or uid_of(kind, name)
        self._commit(feed.Change(kind=kind, uid=uid, name=name, deleted=True))

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is put and removed in the block reaches the replica as one commit."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._commit(*held)

    def reconnect(self) -> None:
        """The feed begins anew, with a snapshot of everything."""
        self.revision += 1
        self.replica.apply(
            feed.Commit(
                revision=self.revision,
                changes=self._stored.values(),
                snapshot_begin=True,
                snapshot_end=True,
            )
        )

    def _commit(self, *changes: feed.Change) -> None:
        for change in changes:
            if change.deleted:
                self._stored.pop((change.kind, change.uid), None)
            else:
                self._stored[change.kind, change.uid] = change
        if self._held is not None:
            self._held += changes
            return
        self.revision += 1
        commit = feed.Commit(revision=self.revision, changes=changes)
        if self.revision == 1:
            commit.snapshot_begin = commit.snapshot_end = True
        self.replica.apply(commit)

    def service(self, name: str, *, status: dict[str, Any] | None = None, **spec: Any) -> None:
        """Create or replace a Service; a public one of mode HTTP by default."""
        namespace = name.split(".")[1]
        full = {"mode": "HTTP", "isPublic": True, "config": SERVICE_CONFIG, **spec}
        full = {key: value for key, value in full.items() if value is not None}
        ref = {"name": namespace, "uid": uid_of("Namespace", namespace)}
        self.put("Service", name, full, {"namespaceRef": ref, "port": 80, **(status or {})})

    def session(
        self,
        name: str,
        user: str,
        *,
        kind: str = "CLIENT",
        status: dict[str, Any] | None = None,
        device: str = "",
        set_at: float | None = None,
        address: str = "",
        **spec: Any,
    ) -> None:
        """Create or replace a Session, which lasts a day with access tokens of an hour."""
        begun = self.now if set_at is None else set_at
        authentication: dict[str, Any] = {
            "tokenID": uid_of("token", name),
            "setAt": stamp(begun),
            "accessTokenDuration": {"hours": 1},
        }
        if address:
            authentication["info"] = {"downstream": {"ipAddress": address}}
        full: dict[str, Any] = {
            "userRef": {"name": user, "uid": uid_of("User", user)},
            "type": kind,
            "authentication": authentication,
            **(status or {}),
        }
        if device:
            full["deviceRef"] = {"name": device, "uid": uid_of("Device", device)}
        spec = {"state": "ACTIVE", "expiresAt": stamp(begun + 86400), **spec}
        self.put("Session", name, spec, full)

    def policy(self, name: str, *rules: dict[str, Any], **spec: Any) -> None:
        """Create or replace a Policy."""
        self.put("Policy", name, {"rules": list(rules), **spec})

    def user(self, name: str = "ann", **spec: Any) -> None:
        """Create or replace a User."""
        self.put("User", name, {"type": "HUMAN", "email": f"{name}@example.com", **spec})

    # --- requests

    def entry(self, name: str = "wiki.default") -> ServiceEntry:
        """A Service as the replica has it."""
        return self.replica.service_by_name[name]

    def token(
        self,
        session: str = "ann-1",
        *,
        token_id: str = "",
        kind: TokenType = TokenType.ACCESS,
        expires_at: float | None = None,
    ) -> bytes:
        """An access token of a Session."""
        end = int(self.now + 3600 if expires_at is None else expires_at)
        token = self.signer.issue(
            kind, uid_of("Session", session), token_id or uid_of("token", session), end
        )
        return token.encode()

    def ask(
        self,
        service: str = "wiki.default",
        request: dict[str, Any] | None = None,
        *,
        session: str | None = "ann-1",
        tunnel: bool = False,
        token: bytes | None = None,
        **options: Any,
    ) -> Decision:
        """Decide on a request that a Session's access token came with, or that its tunnel did."""
        arrival: FrontDoor | Tunnel = FrontDoor("192.0.2.7", 40000)
        if tunnel and session is not None:
            arrival = Tunnel(uid_of("Session", session), "100.65.0.2")
        elif session is not None and token is None:
            token = self.token(session)
        made = DictRequest(HTTP if request is None else request, token=token, **options)
        return self.octovigil.settle(self.entry(service), made, arrival)


def allow(match: str | None = None, **rest: Any) -> dict[str, Any]:
    """A rule that allows what `match` is true for; everything by default."""
    return _rule("ALLOW", match, rest)


def deny(match: str | None = None, **rest: Any) -> dict[str, Any]:
    """A rule that denies what `match` is true for; everything by default."""
    return _rule("DENY", match, rest)


def _rule(effect: str, match: str | None, rest: dict[str, Any]) -> dict[str, Any]:
    condition: dict[str, Any] = {"matchAny": True} if match is None else {"match": match}
    return {"effect": effect, "condition": condition, **rest}


def inline(*rules: dict[str, Any], name: str = "", **spec: Any) -> dict[str, Any]:
    """An authorization with one inline policy."""
    policy: dict[str, Any] = {"spec": {"rules": list(rules), **spec}}
    if name:
        policy["name"] = name
    return {"inlinePolicies": [policy]}
