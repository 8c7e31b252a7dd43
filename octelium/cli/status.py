"""`octelium status`: who one is logged in as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.cli.formats import output_option
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_UNKNOWN = "unknown"
_SOON = 3.0
"""Seconds for the Cluster when there is something to tell without it."""


@verb(
    example="""
    octelium status
    octelium status -o json
    """
)
@output_option("text", "yaml", "json", default="text")
def status(invocation: Invocation, output: str) -> None:
    """Show who one is logged in as, the Session, and the connection of this host if there is one.

    In YAML and JSON, `connection` tells how it does, whether the Cluster answers or not: `healthy`,
    or the `problem`; since when, the gateway's endpoint and when it answered last, bytes both ways,
    published and served Services, and how names are looked up.
    """
    from octelium.cli.formats import json_text, yaml_text
    from octelium.client.errors import ClientError
    from octelium.client.home import state_directory
    from octelium.client.stub import DEADLINE
    from octelium.client.tunnel.control import Place, ask
    from octelium.schema.jsonform import to_json
    from octelium.schema.pb import user_v1_pb2 as user

    client, trailers = invocation.client, dict[str, bytes]()
    directory = state_directory(invocation.flags.get("homedir"), invocation.environ)
    place = None if directory is None else Place(directory, client.domain)
    connection = None if place is None else ask(place, "status")
    was_killed = connection is None and place is not None and place.was_killed
    failure: ClientError | None = None
    try:
        reply = client.api.user.call(
            "GetStatus",
            user.GetStatusRequest(),
            deadline=_SOON if connection else DEADLINE,
            trailers=trailers,
        )
        told = to_json(reply)
    except ClientError as error:
        if not connection:
            raise
        # How the connection does is wanted most when the Cluster does not answer.
        told, failure = {"domain": client.domain}, error
    if connection:
        told["connection"] = connection
    match output:
        case "json":
            text = json_text(told)
        case "yaml":
            text = yaml_text(told)
        case _:
            text = _text(told, trailers, was_killed=was_killed)
    invocation.terminal.show(text)
    if failure is not None:
        raise failure


def _text(told: dict[str, Any], trailers: dict[str, bytes], *, was_killed: bool) -> str:
    """A line for each thing that people ask about."""
    from octelium.cli.connected import offers
    from octelium.cli.inert import inert

    user, session = told.get("user", {}), told.get("session", {})
    cluster = told.get("cluster", {}).get("metadata", {}).get("displayName", "")
    lines = [
        ("Cluster", _and(told.get("domain", _UNKNOWN), cluster)),
        ("User", _and(_name(user), user.get("spec", {}).get("type", ""))),
        ("Session", _and(_name(session), session.get("status", {}).get("type", ""))),
        # No other Session is answered.
        ("State", f"active{_end(trailers)}" if session else _UNKNOWN),
        ("Connection", _connection(told.get("connection"), session, was_killed)),
        *offers(told.get("connection") or {}),
    ]
    if email := user.get("spec", {}).get("email"):
        lines.insert(2, ("E-mail", email))
    return "\n".join(f"{name + ':':<12}{inert(value)}" for name, value in lines) + "\n"


def _name(resource: dict[str, Any]) -> str:
    name = resource.get("metadata", {}).get("name", _UNKNOWN)
    return str(name)


def _and(what: str, more: str) -> str:
    return f"{what} ({more})" if more else what


def _end(trailers: dict[str, bytes]) -> str:
    """Until when the Session is, where the Cluster tells; other implementations do not."""
    from google.protobuf.message import DecodeError
    from google.protobuf.timestamp_pb2 import Timestamp

    from octelium.cli.ages import clock_time
    from octelium.cli.connected import minute
    from octelium.client.api import SESSION_END_TRAILER

    try:
        end = Timestamp.FromString(trailers.get(SESSION_END_TRAILER, b""))
    except DecodeError:
        return ""
    return f", ends {minute(clock_time(end))}" if end.seconds else ""


def _connection(
    connection: dict[str, Any] | None, session: dict[str, Any], was_killed: bool
) -> str:
    """How this host is connected, if it is."""
    from octelium.cli.connected import minute

    if connection is None:
        elsewhere = session.get("status", {}).get("isConnected")
        if was_killed:
            return (
                "none: `octelium connect` was killed here"
                + (", which the Cluster does not know yet" if elsewhere else "")
                + "; begin it again, or: octelium disconnect"
            )
        return "by another host or home directory" if elsewhere else "none"
    state = str(connection.get("state", _UNKNOWN))
    since, problem = connection.get("since"), connection.get("problem")
    return (
        state + (f" since {minute(since)}" if since else "") + (f": {problem}" if problem else "")
    )
