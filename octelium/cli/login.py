"""`login`: a Session from an authentication token, remembered with its connection."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from octelium.cli.verb import verb
from octelium.cli.words import each

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.api import Api
    from octelium.client.state import Login
    from octelium.client.tokens import TokenKeeper

_STDIN = "-"


@verb(
    example="""
    {program} login --domain example.com --auth-token TOKEN
    {program} login --domain lab.test --endpoint 127.0.0.1:8443 --ca-file ca.pem --auth-token TOKEN
    """
)
@click.option(
    "--auth-token", metavar="TOKEN", help="Authentication token [OCTELIUM_AUTH_TOKEN]; `-`: stdin."
)
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    multiple=True,
    callback=each,
    help="Limit the Session, such as `service:wiki` or `api:user`; repeatable or with commas.",
)
@click.option("--force", is_flag=True, help="Make a new Session even if there is one.")
def login(
    invocation: Invocation, auth_token: str | None, scopes: tuple[str, ...], force: bool
) -> None:
    """Log in to a Cluster and remember it.

    The endpoint, the CA and the server name given here are remembered for the domain as well. A
    Session that is still good is kept; the token is then not used, unless --force is given, which
    ends that Session once there is another one.
    """
    client = invocation.client
    token = sys.stdin.readline().strip() if auth_token == _STDIN else auth_token
    keeper = client.keeper(token or None, scopes)
    former = keeper.remembered()
    before = None if force or former is None else keeper.access_token()
    if before is None:
        keeper.authenticate()
        if former is not None:
            _end(invocation, keeper, former)
    who = _who(client.connect(keeper))
    client.remember_connection()
    if before != keeper.access_token():
        invocation.terminal.note(f"Logged in to {client.domain}{who}.")
        return
    invocation.terminal.note(f"Already logged in to {client.domain}{who}.")
    if token:
        invocation.terminal.note("The token was not used; --force makes a new Session with it.")


def _end(invocation: Invocation, keeper: TokenKeeper, former: Login) -> None:
    from octelium.client.errors import ApiError

    try:
        keeper.end(former)
    except ApiError as error:
        invocation.terminal.warn(f"the former Session goes on: {error}")


def _who(api: Api) -> str:
    from octelium.client.errors import ApiError
    from octelium.schema.pb import user_v1_pb2 as user

    try:
        status = api.user.call("GetStatus", user.GetStatusRequest())
    except ApiError as error:
        if error.code not in ("PERMISSION_DENIED", "UNIMPLEMENTED"):
            raise
        return ""  # a Session need not be allowed to ask
    return f" as {status.user.metadata.name} (Session {status.session.metadata.name})"
