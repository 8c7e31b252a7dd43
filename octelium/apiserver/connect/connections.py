"""Beginning and ending a connection in the store.

A connection has an id of its own, kept in the Session's `status.ext`, because a Session can have
one connection after the other: whoever ends one names it, and so never ends its successor.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from google.protobuf.struct_pb2 import Struct, Value

from octelium.identity.sessions import is_over, is_user_barred
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import set_time

if TYPE_CHECKING:
    from octelium.apiserver.connect.network import Network
    from octelium.store.reading import Reader

EXT: Final = "connection"
"""Key in `session.status.ext` of the last connection's id, address index and end."""
_KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """The last connection of a Session. `ended_at` is 0 while it lasts."""

    id: str
    index: int
    ended_at: float = 0.0


def mark_of(session: core.Session) -> Mark | None:
    """What a Session tells of its last connection; None if it never had any."""
    if EXT not in session.status.ext:
        return None
    # Looking up what is missing in such a map would add it, and the message is shared.
    fields = dict(session.status.ext[EXT].fields.items())
    none = Value()
    return Mark(
        fields.get("id", none).string_value,
        int(fields.get("index", none).number_value),
        fields.get("endedAt", none).number_value,
    )


def connection_id(session: core.Session) -> str | None:
    """The id of the connection that a Session has now."""
    if not session.status.HasField("connection"):
        return None
    mark = mark_of(session)
    return "" if mark is None else mark.id


def begin(
    session: core.Session,
    connection: core.SessionStatusConnection,
    network: Network,
    index: int,
    now: float,
) -> str:
    """Connect a Session, in place, instead of any connection that it has; the new one's id."""
    end(session, now)
    status = session.status
    status.connection.CopyFrom(connection)
    del status.connection.addresses[:]
    status.connection.addresses.append(network.session(index))
    set_time(status.connection.started_at, now)
    set_time(status.connection.last_seen_at, now)
    status.is_connected = True
    status.total_connections += 1
    mark = Mark(secrets.token_hex(16), index)
    _put(session, mark)
    return mark.id


def end(session: core.Session, now: float) -> bool:
    """End the connection of a Session, in place; whether it had one."""
    status = session.status
    if not status.HasField("connection"):
        changed = status.is_connected
        status.is_connected = False
        return changed
    ended = core.SessionStatusLastConnection(started_at=status.connection.started_at)
    set_time(ended.ended_at, now)
    past = [ended, *status.last_connections][:_KEPT]
    kept = [core.SessionStatusLastConnection.FromString(one.SerializeToString()) for one in past]
    del status.last_connections[:]
    status.last_connections.extend(kept)
    status.is_connected = False
    status.ClearField("connection")
    mark = mark_of(session)
    if mark is not None:
        _put(session, Mark(mark.id, mark.index, now))
    return True


def unusable_because(reader: Reader, session: core.Session, now: float) -> str:
    """Why a Session may not be connected at all; empty if it may.

    Whether it may reach a Service is decided for each request. An access token that has to be
    renewed ends no tunnel.
    """
    if session.spec.state != core.SessionSpecState__.ACTIVE:
        return "this Session is not active"
    if session.status.is_locked:
        return "this Session is locked"
    if is_over(session, now):
        return "this Session has expired"
    user = reader.peek(core.User, uid=session.status.user_ref.uid)
    if user is None or is_user_barred(user):
        return "its User is disabled"
    if session.status.HasField("device_ref"):
        device = reader.peek(core.Device, uid=session.status.device_ref.uid)
        if device is None or device.spec.state != core.DeviceSpecState__.ACTIVE:
            return "its Device is not active"
        if device.status.is_locked:
            return "its Device is locked"
    return ""


def _put(session: core.Session, mark: Mark) -> None:
    told = Struct()
    told.update({"id": mark.id, "index": mark.index})
    if mark.ended_at:
        told.update({"endedAt": mark.ended_at})
    session.status.ext[EXT].CopyFrom(told)
