"""Who makes a call, as the verbs want to know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from octelium.apiserver.rpc import ApiError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor

if TYPE_CHECKING:
    from octelium.apiserver.rpc import Call
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Caller:
    """The Session behind a call, and the operation it asked for."""

    session_uid: str
    session_ref: meta.ObjectReference | None
    operation: str
    """gRPC path without the leading slash."""

    @classmethod
    def of(cls, call: Call) -> Caller:
        """The caller of a call.

        Raises:
            ApiError: UNAUTHENTICATED, if the proxy vouched for no Session.
        """
        return cls(call.require_session(), call.session_ref, call.operation)

    @property
    def actor(self) -> Actor:
        """How the store remembers the caller."""
        return Actor(self.session_ref, self.operation)

    def check(self, tx: Transaction) -> None:
        """Refuse a caller whose Session ended after the call was let through.

        Raises:
            ApiError: UNAUTHENTICATED.
        """
        if tx.peek("Session", uid=self.session_uid) is None:
            raise ApiError(grpc.StatusCode.UNAUTHENTICATED, "Unauthenticated User")

    def session(self, tx: Transaction) -> core.Session:
        """The caller's Session as it is in this transaction.

        Raises:
            NotFound: It has been deleted since the call was let through.
        """
        return tx.get(core.Session, uid=self.session_uid)
