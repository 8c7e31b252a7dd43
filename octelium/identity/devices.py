"""Devices: a client tells which computer it runs on, and its Session is bound to that.

What a client tells is not proved. So a Device belongs to the User that registered it first, and
others that claim to be on the same one are refused.
"""

from __future__ import annotations

import re
import secrets
import string
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from octelium.identity import admission, sessions
from octelium.identity.errors import (
    AuthenticationError,
    RefusedError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.identity.keys import Keyring
    from octelium.identity.tokens import TokenClaims
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

_T = TypeVar("_T")
MOST: Final = 32
"""Devices of one User unless the ClusterConfig says otherwise."""
LIFETIME: Final = 20
"""Seconds between the two steps of a registration."""
_MAX_HOSTNAME: Final = 32
_MAX_MAC_ADDRESSES: Final = 16
_TYPES: Final = core.DeviceStatusOsType__.DeviceStatusOsType
_CHARACTERS: Final = string.ascii_lowercase + string.digits
_ID: Final = re.compile(r"[a-f0-9]{64}")
_SERIAL_NUMBER: Final = re.compile(r"[ -~]{6,128}")
_NO_SERIAL_NUMBERS: Final = frozenset(("0", "null", "nil", "default string"))
"""What firmware says that has none."""
_MAC_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5,7}")


class DeviceError(AuthenticationError):
    """What a client tells of its device cannot be right, or is registered by another User."""

    code = "INVALID_ARGUMENT"


class BoundError(AuthenticationError):
    """The Session is bound to a Device already."""

    code = "ALREADY_EXISTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """What a client tells of the device that it runs on. Raises DeviceError if it cannot be."""

    os_type: int
    id: str
    """SHA-256 of what the operating system calls the machine, in hexadecimal digits."""
    hostname: str = ""
    serial_number: str = ""
    mac_addresses: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        if self.os_type not in _TYPES.values() or not self.os_type:
            raise DeviceError("the type of the operating system is unknown")
        if _ID.fullmatch(self.id) is None:
            raise DeviceError("the id must be 64 hexadecimal digits in lower case")
        if len(self.hostname) > _MAX_HOSTNAME or not self.hostname.isprintable():
            raise DeviceError(f"the hostname must be at most {_MAX_HOSTNAME} printable characters")
        number = self.serial_number
        if number and _SERIAL_NUMBER.fullmatch(number) is None:
            raise DeviceError("the serial number must be 6 to 128 ASCII characters")
        if number.strip().lower() in _NO_SERIAL_NUMBERS:
            raise DeviceError("the serial number is none")
        if len(self.mac_addresses) > _MAX_MAC_ADDRESSES:
            raise DeviceError(f"more than {_MAX_MAC_ADDRESSES} MAC addresses were given")
        if any(_MAC_ADDRESS.fullmatch(one) is None for one in self.mac_addresses):
            raise DeviceError("a MAC address is none")


@dataclass(frozen=True, slots=True)
class _Pending:
    uid: str
    info: DeviceInfo
    ends_at: float


class Devices:
    """Registers Devices. All methods raise AuthenticationError."""

    def __init__(
        self, resources: Resources, keyring: Keyring, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._resources = resources
        self._keyring = keyring
        self._clock = clock
        self._pending: dict[str, _Pending] = {}

    async def register(self, refresh_token: str, info: DeviceInfo, operation: str) -> core.Device:
        """Register the device of a client, or bind its Session to the Device it has there.

        Raises:
            BoundError: the Session was bound before, or is bound from here on to a known Device.
        """
        return await self._run(
            refresh_token, operation, lambda tx, session, _now: _register(tx, session, info)
        )

    async def begin(self, refresh_token: str, info: DeviceInfo, operation: str) -> str:
        """The same in two steps: returns what `finish` takes within `LIFETIME`."""
        session_uid = await self._run(
            refresh_token, operation, lambda tx, session, _now: _prepare(tx, session, info)
        )
        now = self._clock()
        for uid in [uid for uid, one in self._pending.items() if one.ends_at <= now]:
            del self._pending[uid]
        pending = _Pending(_random(10), info, now + LIFETIME)
        self._pending[session_uid] = pending
        return pending.uid

    async def finish(self, refresh_token: str, uid: str, operation: str) -> core.Device:
        """The second step, by the same Session."""

        def take(tx: Transaction, session: core.Session, now: int) -> core.Device | BoundError:
            pending = self._pending.pop(session.metadata.uid, None)
            if pending is None or pending.uid != uid or pending.ends_at <= now:
                raise DeviceError("no registration of this Session waits for that: begin again")
            return _register(tx, session, pending.info)

        return await self._run(refresh_token, operation, take)

    async def check(self, refresh_token: str, operation: str) -> None:
        """Whether a client with an active Session asks."""
        await self._run(refresh_token, operation, lambda _tx, session, _now: session)

    async def _run(
        self,
        refresh_token: str,
        operation: str,
        rule: Callable[[Transaction, core.Session, int], _T | BoundError],
    ) -> _T:
        claims = self._keyring.verifier.verify(refresh_token, TokenType.REFRESH)
        if claims is None:
            raise UnauthenticatedError("no valid refresh token was given")
        known = self._resources.peek(core.Session, uid=claims.subject)
        actor = Actor(None if known is None else reference(known), operation)
        async with self._resources.transaction(actor) as tx:
            now = int(self._clock())
            result = rule(tx, _client(tx, claims, now), now)
        if isinstance(result, BoundError):  # what it says was done is kept
            raise result
        return result


def _client(tx: Transaction, claims: TokenClaims, now: int) -> core.Session:
    session = admission.session_of_token(tx, claims, now)
    if session.status.type != core.SessionStatusType__.CLIENT:
        raise RefusedError("only a client registers the device that it runs on")
    if session.spec.state != core.SessionSpecState__.ACTIVE:
        raise RefusedError("the Session is not active")
    return session


def _prepare(tx: Transaction, session: core.Session, info: DeviceInfo) -> str | BoundError:
    """The uid of the Session, if a new Device can be made for it."""
    user = _user(tx, session)
    bound = _bind(tx, session, info)
    if bound is not None:
        return bound
    _check_limit(tx, user)
    return session.metadata.uid


def _register(tx: Transaction, session: core.Session, info: DeviceInfo) -> core.Device | BoundError:
    user = _user(tx, session)
    bound = _bind(tx, session, info)
    if bound is not None:
        return bound
    state = _check_limit(tx, user)
    device = core.Device(api_version="core/v1", kind="Device")
    kind = _TYPES.Name(_TYPES.ValueType(info.os_type)).lower()
    device.metadata.name = f"{kind}-{_random(8)}"
    while tx.peek(core.Device, name=device.metadata.name) is not None:
        device.metadata.name = f"{kind}-{_random(8)}"
    device.spec.state = state
    status = device.status
    status.user_ref.CopyFrom(reference(user))
    status.os_type = _TYPES.ValueType(info.os_type)
    status.id, status.hostname, status.serial_number = info.id, info.hostname, info.serial_number
    status.mac_addresses.extend(info.mac_addresses)
    made = tx.create(device)
    session.status.device_ref.CopyFrom(reference(made))
    tx.update(session)
    return made


def _bind(tx: Transaction, session: core.Session, info: DeviceInfo) -> BoundError | None:
    """Bind a Session to the Device that its User has with this id or serial number, if any.

    Raises:
        DeviceError: another User has it.
    """
    if session.status.HasField("device_ref"):
        return BoundError("the Session is bound to a Device already")
    known = tx.peek_all(core.Device, by={"status.id": info.id})
    if info.serial_number:
        known += tx.peek_all(core.Device, by={"status.serialNumber": info.serial_number})
    owner = session.status.user_ref.uid
    if any(device.status.user_ref.uid != owner for device in known):
        raise DeviceError("the device is registered by another User")
    if not known:
        return None
    session.status.device_ref.CopyFrom(reference(known[0]))
    tx.update(session)
    return BoundError("the Session is bound to the Device that was registered before")


def _user(tx: Transaction, session: core.Session) -> core.User:
    user = tx.find(core.User, uid=session.status.user_ref.uid)
    if user is None:
        raise UnknownUserError(f"the User of Session {session.metadata.name} is gone")
    if sessions.is_user_barred(user):
        raise RefusedError(f"User {user.metadata.name} is disabled or locked")
    return user


def _check_limit(
    tx: Transaction, user: core.User
) -> core.DeviceSpecState__.DeviceSpecState.ValueType:
    """The state of a new Device. Raises RefusedError if there are too many already."""
    rules = admission.cluster_config(tx).spec.device
    own = rules.human if user.spec.type == core.UserSpecType__.HUMAN else rules.workload
    most = own.max_per_user or MOST
    if tx.count(core.Device, by={"status.userRef": user.metadata.uid}) >= most:
        raise RefusedError(
            f"User {user.metadata.name} has {most} Devices, as many as it may have: delete one"
        )
    return own.default_state or core.DeviceSpecState__.ACTIVE


def _random(length: int) -> str:
    return "".join(secrets.choice(_CHARACTERS) for _ in range(length))
