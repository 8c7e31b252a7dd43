"""The contexts in which expressions are evaluated: which members `ctx` has in each.

https://octelium.com/docs/octelium/latest/management/core/policy describes `ctx` for access control,
https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview and
https://octelium.com/docs/octelium/latest/management/core/authenticator that of the other rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from octelium.policy.shape.messages import message_shape
from octelium.policy.shape.request import MEMBER, listed, request_shape
from octelium.policy.shape.shape import OPEN_MAP, STRING, Kind, Shape, list_of
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Setting(Enum):
    """What an expression is evaluated for."""

    ACCESS = "an access decision"
    BEFORE_AUTHENTICATION = "a request before anybody is known to have sent it"
    ASSERTION = "an assertion of an IdentityProvider"
    LOGIN = "a login at an IdentityProvider"
    ENFORCEMENT = "whether an Authenticator is needed"
    AUTHENTICATOR = "an authentication with an Authenticator"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A Service on whose requests an expression is evaluated."""

    mode: int
    anonymous: bool = False
    """Its requests come from nobody."""
    policies: bool = True
    """Policies decide on its requests; without, an anonymous Service is open to all."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where an expression stands. `attachments` None: it may meet the requests of any Service."""

    setting: Setting
    attachments: frozenset[Attachment] | None = None
    has_attrs: bool = False
    """Whether there is a variable `attrs`."""

    @property
    def shape(self) -> Shape:
        """The shape of `ctx`."""
        return _ctx_shape(self.setting, self.attachments)

    @property
    def anywhere(self) -> Context:
        """The same for the requests of any Service."""
        return replace(self, attachments=None)

    @property
    def modes(self) -> frozenset[int] | None:
        """The modes of the attachments."""
        if self.attachments is None:
            return None
        return frozenset(attachment.mode for attachment in self.attachments)


class ContextMembers:
    """The members of `ctx`."""

    __slots__ = ("_elsewhere", "_members")

    def __init__(self, members: Mapping[str, Shape], elsewhere: Mapping[str, str]) -> None:
        self._members = members
        self._elsewhere = elsewhere

    def get(self, name: str) -> Shape | None:
        """What may stand at a member; None if there is no such member."""
        return self._members.get(name)

    def names(self) -> Iterable[str]:
        """The members that there may be."""
        return self._members

    def elsewhere(self, name: str) -> str:
        """Why a member of other attachments cannot be there; empty if none has it."""
        return self._elsewhere.get(name, "")


_USER: Final = message_shape(core.User.DESCRIPTOR)
_SESSION: Final = message_shape(core.Session.DESCRIPTOR)
_PROVIDER: Final = message_shape(core.IdentityProvider.DESCRIPTOR)
_INFO: Final = message_shape(core.SessionStatusAuthenticationInfo.DESCRIPTOR)
_SERVICE: Final = message_shape(core.Service.DESCRIPTOR)

_IDENTITY: Final = {
    "session": _SESSION,
    "user": _USER,
    "groups": list_of(message_shape(core.Group.DESCRIPTOR)).as_sparse(),
    "device": message_shape(core.Device.DESCRIPTOR),
}
_FIXED: Final[dict[Setting, dict[str, Shape]]] = {
    Setting.ASSERTION: {"assertionMap": OPEN_MAP, "assertion": STRING},
    Setting.LOGIN: {"user": _USER, "identityProvider": _PROVIDER, "authenticationInfo": _INFO},
    Setting.ENFORCEMENT: {
        "user": _USER,
        "identityProvider": _PROVIDER,
        "session": _SESSION,
        "authenticatorList": message_shape(core.AuthenticatorList.DESCRIPTOR),
    },
    Setting.AUTHENTICATOR: {
        "authenticator": message_shape(core.Authenticator.DESCRIPTOR),
        "user": _USER,
        "session": _SESSION,
        "info": _INFO,
    },
}

_ANONYMOUS: Final = "an anonymous Service asks nobody who they are"
_OPEN: Final = "an anonymous Service without enableAnonymous has nothing but service and request"


@lru_cache(maxsize=512)
def _ctx_shape(setting: Setting, attachments: frozenset[Attachment] | None) -> Shape:
    fixed = _FIXED.get(setting)
    if fixed is not None:
        return Shape(Kind.MAP, members=ContextMembers(fixed, {}))
    members: dict[str, Shape] = {"service": _SERVICE}
    elsewhere: dict[str, str] = {}
    modes = None
    if attachments is not None:
        modes = frozenset(attachment.mode for attachment in attachments)
    request = request_shape(modes)
    if request is not None:
        members["request"] = request
    elif modes is not None:
        elsewhere["request"] = f"only requests of mode {listed(MEMBER)} are seen"
    if setting is Setting.ACCESS:
        if attachments is None or any(attachment.policies for attachment in attachments):
            members["namespace"] = message_shape(core.Namespace.DESCRIPTOR)
        else:
            elsewhere["namespace"] = _OPEN
        if attachments is None or not all(attachment.anonymous for attachment in attachments):
            members.update(_IDENTITY)
        else:
            elsewhere.update(dict.fromkeys(_IDENTITY, _ANONYMOUS))
    return Shape(Kind.MAP, members=ContextMembers(members, elsewhere))
