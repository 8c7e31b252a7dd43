"""From an inquiry to the world that it is about."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.identity.sessions import Beginning, begin
from octelium.octovigil.explain.modules import Modules
from octelium.octovigil.explain.overlay import overlaid
from octelium.octovigil.explain.supposition import Supposition, revise
from octelium.octovigil.inquiry import InquiryError
from octelium.policy.cel.values import normalized
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from octelium.octovigil.inquiry import Inquiry
    from octelium.policy.rego.needed import Resolver
    from octelium.replica.replica import Replica

M = TypeVar("M", bound="Message")

_MAX_DEPTH: Final = 64


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
        self.invented: set[str] = set()

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
            invented=frozenset(self.invented),
            modules=Modules(self.rego),
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
        self.invented.add(session.metadata.uid)
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
        self.invented.add(device.metadata.uid)
        self.supposed |= {device.metadata.uid, session.metadata.uid}
        bound = core.Session()
        bound.CopyFrom(session)
        ref = bound.status.device_ref
        ref.api_version, ref.kind = "core/v1", "Device"
        ref.uid, ref.name = device.metadata.uid, device.metadata.name
        return self._put(bound)

    def _put(self, message: M) -> M:
        revise(self.replica, [message])
        return message


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
