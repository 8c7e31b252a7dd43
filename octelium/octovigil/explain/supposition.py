"""A request that is only thought of, in a world of its own.

The world is a replica that shares the live one's entries, with the Session and the Device that are
supposed in their place. What decides in it is the decision point itself.
"""

from __future__ import annotations

import logging
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.identity.sessions import Beginning, begin
from octelium.octovigil.explain.overlay import overlaid
from octelium.octovigil.inquiry import InquiryError
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.cel.values import normalized
from octelium.policy.request import DictRequest, NoRequest
from octelium.replica.arrival import FrontDoor, Tunnel
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

    from octelium.identity.tokens import PublicKey, TokenClaims, TokenType
    from octelium.octovigil.inquiry import Inquiry
    from octelium.policy.decision import Decision
    from octelium.policy.rego.needed import Resolver
    from octelium.policy.request import Path, Request
    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import (
        DeviceEntry,
        Replica,
        ServiceEntry,
        SessionEntry,
        UserEntry,
    )

M = TypeVar("M", bound="Message")

_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""Whether the decision that runs here is only thought of."""


class _Actual(logging.Filter):
    """Lets through what is said of decisions that are meant, and all errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or not _QUIET.get()


logging.getLogger("octelium.octovigil.plan").addFilter(_Actual())


class _NoTokens:
    """Verifies nothing: in thought, nobody needs a token."""

    def verify(self, token: bytes | str, token_type: TokenType) -> TokenClaims | None:  # noqa: ARG002 - the Protocol's signature
        return None

    def replace_keys(self, keys: Mapping[bytes, PublicKey]) -> None:
        """Keys make no difference."""


class Supposition:
    """One request in a world that may be changed.

    `supposed` are the uids of resources that exist, or are as they are, in this world only.
    """

    def __init__(
        self,
        replica: Replica,
        service_uid: str,
        session_uid: str,
        request: dict[str, Any] | None,
        now: float,
        *,
        address: str = "",
        unknown: frozenset[Path] = frozenset(),
        repeated: frozenset[Path] = frozenset(),
        supposed: frozenset[str] = frozenset(),
        rego: Resolver | None = None,
    ) -> None:
        """`replica` belongs to the supposition from here on; `now` is in Unix seconds.

        `rego` gets the results of Rego modules.
        """
        self.replica = replica
        self.service_uid = service_uid
        self.session_uid = session_uid
        self.request = request
        self.now = now
        self.address = address
        self.unknown = unknown
        self.repeated = repeated
        self.supposed = supposed
        self.rego = rego
        self._octovigil = Octovigil(replica, _NoTokens(), lambda: self.now, lambda _: None)

    def fork(self) -> Supposition:
        """The same in a world of its own."""
        return Supposition(
            self.replica.fork(),
            self.service_uid,
            self.session_uid,
            self.request,
            self.now,
            address=self.address,
            unknown=self.unknown,
            repeated=self.repeated,
            supposed=self.supposed,
            rego=self.rego,
        )

    @property
    def service(self) -> ServiceEntry:
        """The Service that is asked for."""
        return self.replica.services[self.service_uid]

    @property
    def session(self) -> SessionEntry | None:
        """The Session that asks; None for nobody, or if it is gone."""
        return self.replica.sessions.get(self.session_uid)

    @property
    def user(self) -> UserEntry | None:
        """The User of the Session."""
        session = self.session
        return None if session is None else self.replica.users.get(session.user_uid)

    @property
    def device(self) -> DeviceEntry | None:
        """The Device of the Session."""
        session = self.session
        return None if session is None else self.replica.devices.get(session.device_uid)

    def put(self, messages: Iterable[Any]) -> None:
        """Put resources in the place of those of the same kind and uid."""
        self.replica.revise(_change(message) for message in messages)

    def decide(self) -> Decision:
        """What the decision point says in this world."""
        # A Session is known by its tunnel: whether a token would have got through is a matter of
        # the way here, not of rights.
        arrival: Arrival = FrontDoor(self.client_address, 0)
        if self.session_uid:
            arrival = Tunnel(self.session_uid, self.client_address)
        before = _QUIET.set(True)
        try:
            return self._octovigil.decide(self.service, self._as_request(), arrival)
        finally:
            _QUIET.reset(before)

    @property
    def client_address(self) -> str:
        """The client's address as far as it is told."""
        if self.address:
            return self.address
        given = (self.request or {}).get("ip")
        return given if isinstance(given, str) else ""

    def _as_request(self) -> Request:
        if self.request is None:
            return NoRequest(self.client_address)
        return DictRequest(self.request, client_address=self.client_address, repeated=self.repeated)


def suppose(
    replica: Replica, inquiry: Inquiry, now: float, rego: Resolver | None = None
) -> Supposition:
    """The world of an inquiry, `now` if it names no time. `replica` is forked, and left alone.

    Raises:
        InquiryError: something does not exist, or the inquiry contradicts itself.
    """
    at = now if inquiry.at is None else inquiry.at
    return _Supposing(replica.fork(), inquiry, at, rego).made()


class _Supposing:
    def __init__(
        self, replica: Replica, inquiry: Inquiry, now: float, rego: Resolver | None
    ) -> None:
        self.replica = replica
        self.inquiry = inquiry
        self.now = now
        self.rego = rego
        self.supposed: set[str] = set()

    def made(self) -> Supposition:
        inquiry = self.inquiry
        service = self.replica.service_by_name.get(inquiry.service)
        if service is None:
            raise InquiryError(f"there is no Service {inquiry.service!r}")
        if inquiry.session and inquiry.user:
            raise InquiryError("give a Session or a User, not both")
        if inquiry.session:
            session = self._existing()
        elif inquiry.user:
            session = self._new()
        elif inquiry.session_fields or inquiry.device_fields:
            raise InquiryError("fields of a Session or a Device need a Session or a User")
        else:
            session = None
        if session is not None and inquiry.device_fields:
            session = self._with_device(session)
        return Supposition(
            self.replica,
            service.uid,
            "" if session is None else session.metadata.uid,
            _request(inquiry.request),
            self.now,
            address=inquiry.address,
            unknown=inquiry.unknown,
            repeated=inquiry.repeated,
            supposed=frozenset(self.supposed),
            rego=self.rego,
        )

    def _existing(self) -> core.Session:
        wanted = self.inquiry.session
        entry = self.replica.sessions.get(wanted) or next(
            (entry for entry in self.replica.sessions.values() if entry.name == wanted), None
        )
        if entry is None:
            raise InquiryError(f"there is no Session {wanted!r}")
        if not self.inquiry.session_fields:
            return entry.message
        self.supposed.add(entry.uid)
        return self._put(overlaid(entry.message, self.inquiry.session_fields, "session"))

    def _new(self) -> core.Session:
        """A Session as a login on a computer begins it, active whatever the User's default."""
        user = self.replica.users_by_name.get(self.inquiry.user)
        if user is None:
            raise InquiryError(f"there is no User {self.inquiry.user!r}")
        config = self.replica.cluster_config
        session = begin(
            Beginning(
                user=user.message,
                type=core.SessionStatusType__.CLIENT,
                info=core.SessionStatusAuthenticationInfo(),
            ),
            core.ClusterConfig() if config is None else config.message,
            f"{user.name}-supposed",
            int(self.now),
        )
        session.metadata.uid = str(uuid.uuid4())
        session.metadata.created_at.seconds = int(self.now)
        session.spec.state = core.SessionSpecState__.ACTIVE
        self.supposed.add(session.metadata.uid)
        return self._put(overlaid(session, self.inquiry.session_fields, "session"))

    def _with_device(self, session: core.Session) -> core.Session:
        fields = self.inquiry.device_fields
        uid = session.status.device_ref.uid
        if uid:
            entry = self.replica.devices.get(uid)
            if entry is None:
                raise InquiryError(f"the Device of Session {session.metadata.name} does not exist")
            self.supposed.add(uid)
            self._put(overlaid(entry.message, fields, "device"))
            return session
        device = core.Device(api_version="core/v1", kind="Device")
        device.metadata.uid, device.metadata.name = str(uuid.uuid4()), "supposed"
        device.spec.state = core.DeviceSpecState__.ACTIVE
        device.status.user_ref.CopyFrom(session.status.user_ref)
        device = self._put(overlaid(device, fields, "device"))
        self.supposed |= {device.metadata.uid, session.metadata.uid}
        bound = core.Session()
        bound.CopyFrom(session)
        ref = bound.status.device_ref
        ref.api_version, ref.kind = "core/v1", "Device"
        ref.uid, ref.name = device.metadata.uid, device.metadata.name
        return self._put(bound)

    def _put(self, message: M) -> M:
        self.replica.revise([_change(message)])
        return message


def _change(message: Any) -> feed.Change:
    return feed.Change(
        kind=message.kind,
        uid=message.metadata.uid,
        name=message.metadata.name,
        data=message.SerializeToString(),
    )


_MAX_DEPTH: Final = 64


def _request(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`ctx.request` as conditions see it. Raises InquiryError for what is no JSON."""
    if given is None:
        return None
    _check_json(given, "request", 0)
    made = normalized(dict(given))
    assert isinstance(made, dict)
    return made


def _check_json(value: object, path: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InquiryError(f"{path}: nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise InquiryError(f"{path}: the key {key!r} is no text")
            _check_json(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_json(item, f"{path}[{index}]", depth + 1)
    elif value is not None and type(value) not in (str, bool, int, float):
        raise InquiryError(f"{path}: {type(value).__name__} is no JSON value")
