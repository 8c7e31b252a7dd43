"""A request that is only thought of, in a world of its own.

The world is a replica that shares the live one's entries, with the Session and the Device that are
supposed in their place. What decides in it is the decision point itself.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from octelium.octovigil.explain.modules import Modules
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.request import DictRequest, NoRequest
from octelium.replica.arrival import FrontDoor, Tunnel
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from octelium.identity.tokens import PublicKey, TokenClaims, TokenType
    from octelium.policy.decision import Decision
    from octelium.policy.request import Path, Request
    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import (
        DeviceEntry,
        Replica,
        ServiceEntry,
        SessionEntry,
        UserEntry,
    )

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

    `supposed` are the uids of resources that are as they are in this world only; of these,
    `invented` ones exist nowhere else.
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
        invented: frozenset[str] = frozenset(),
        modules: Modules | None = None,
    ) -> None:
        """`replica` belongs to the supposition from here on; `now` is in Unix seconds."""
        self.replica = replica
        self.service_uid = service_uid
        self.session_uid = session_uid
        self.request = request
        self.now = now
        self.address = address
        self.unknown = unknown
        self.repeated = repeated
        self.supposed = supposed
        self.invented = invented
        self.modules = modules or Modules()
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
            invented=self.invented,
            modules=self.modules,
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
        revise(self.replica, messages)

    def decide(self) -> Decision:
        """What the decision point says in this world."""
        # A Session is known by its tunnel: whether a token would have got through is a matter of
        # the way here, not of rights.
        arrival: Arrival = FrontDoor(self.client_address, 0)
        if self.session_uid:
            arrival = Tunnel(self.session_uid, self.client_address)
        before = _QUIET.set(True)
        try:
            request = self._as_request()
            return self._octovigil.settle(self.service, request, arrival, self.modules)
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


def revise(replica: Replica, messages: Iterable[Any]) -> None:
    """Put resources into a replica, in the place of those of the same kind and uid."""
    replica.revise(
        feed.Change(
            kind=message.kind,
            uid=message.metadata.uid,
            name=message.metadata.name,
            data=message.SerializeToString(),
        )
        for message in messages
    )
