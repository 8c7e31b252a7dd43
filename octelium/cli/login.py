"""`login`: a Session for a person or a workload, remembered with its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.proving import chosen_proof
from octelium.cli.verb import verb
from octelium.cli.words import each

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.api import Api
    from octelium.client.state import Login
    from octelium.client.tokens import TokenKeeper


@verb(
    example="""
    {program} login --domain example.com
    {program} login --domain example.com --device
    {program} login --domain example.com --auth-token TOKEN
    {program} login --domain example.com --assertion k8s --scope service:wiki
    {program} login --domain example.com --assertion corp:jwt:file=/run/token
    {program} login --domain lab.test --endpoint 127.0.0.1:8443 --ca-file ca.pem
    """
)
@click.option(
    "--auth-token", metavar="TOKEN", help="Authentication token [OCTELIUM_AUTH_TOKEN]; `-`: stdin."
)
@click.option("--web", is_flag=True, help="Sign in with a browser of this computer.")
@click.option("--device", is_flag=True, help="Sign in with a browser elsewhere, by a code.")
@click.option(
    "--assertion",
    metavar="[IDP:]TYPE[:K=V,...]",
    help="Token of a platform: k8s, kubernetes, github-actions[:audience=URL], "
    "azure[:audience=URI], jwt:env=NAME or jwt:file=PATH; IDP names the IdentityProvider "
    "[OCTELIUM_AUTH_ASSERTION].",
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
    invocation: Invocation,
    auth_token: str | None,
    web: bool,
    device: bool,
    assertion: str | None,
    scopes: tuple[str, ...],
    force: bool,
) -> None:
    """Log in to a Cluster and remember it.

    In a terminal a person signs in with a browser: of this computer where there is one, elsewhere
    by a code. Workloads give a token or an assertion of their platform. The environment may hold
    these too: OCTELIUM_AUTH_TOKEN, OCTELIUM_AUTH_ASSERTION (as --assertion), OCTELIUM_ASSERTION
    (the token itself), OCTELIUM_ASSERTION_FILE.

    The endpoint, the CA and the server name given here are remembered for the domain as well, and
    later commands mean the Cluster that --domain names here (`octelium context use` changes it). A
    Session that is still good is kept, unless --force is given, which ends that Session once there
    is another one.
    """
    given = [
        flag
        for flag, value in (
            ("--auth-token", auth_token),
            ("--web", web),
            ("--device", device),
            ("--assertion", assertion),
        )
        if value
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.")
    client = invocation.client
    keeper = client.keeper(
        chosen_proof(invocation, auth_token, assertion, web=web, device=device), scopes
    )
    former = keeper.remembered()
    if force or former is None:
        keeper.authenticate()
        if former is not None:
            _end(invocation, keeper, former)
    who, barred = _who(client.connect(keeper))
    client.remember_connection()
    switched = _choose(invocation)
    if keeper.is_new:
        invocation.terminal.note(f"Logged in to {client.domain}{who}.")
        if switched:
            invocation.terminal.note(switched)
        _tell(invocation, barred)
        return
    invocation.terminal.note(f"Already logged in to {client.domain}{who}.")
    if switched:
        invocation.terminal.note(switched)
    if auth_token:
        invocation.terminal.note("The token was not used; --force makes a new Session with it.")
    elif given:
        invocation.terminal.note("--force makes a new Session.")
    if scopes:
        invocation.terminal.warn(
            "--scope was not used: the Session is the former one, and may do more. "
            "--force makes a new one."
        )
    _tell(invocation, barred)


def _choose(invocation: Invocation) -> str:
    """Have later commands mean the Cluster that the command line names; a line, if to be told.

    A Cluster that the environment names is meant as long as it does: no other choice is undone.
    """
    client = invocation.client
    if "domain" in invocation.flags:
        if client.choose_context():
            return f"Commands mean {client.domain} now, unless they name another Cluster."
        return ""
    meant = client.adopt_context()
    if meant == client.domain:
        return ""
    return (
        f"Commands mean {meant} as before, unless they name another Cluster; to change that: "
        f"octelium context use {client.domain}"
    )


def _tell(invocation: Invocation, barred: str) -> None:
    """Say why the Session is of no use yet, or any more."""
    if barred:
        invocation.terminal.warn(f"this login cannot be used so far: {barred}")


def _end(invocation: Invocation, keeper: TokenKeeper, former: Login) -> None:
    from octelium.client.errors import ApiError

    try:
        keeper.end(former)
    except ApiError as error:
        invocation.terminal.warn(f"the former Session goes on: {error}")


def _who(api: Api) -> tuple[str, str]:
    """Who has logged in, as far as the Session may ask; and why it may do nothing, if so."""
    from octelium.client.errors import ApiError
    from octelium.schema.pb import user_v1_pb2 as user

    try:
        status = api.user.call("GetStatus", user.GetStatusRequest())
    except ApiError as error:
        if error.code == "UNAUTHENTICATED" and not error.remedy:
            error.remedy = (
                "the Session has ended; make a new one: octelium login --force, in a terminal or "
                "with --auth-token TOKEN"
            )
        if error.code not in ("PERMISSION_DENIED", "UNIMPLEMENTED"):
            raise
        return "", error.own_reason  # a Session need not be allowed to ask
    return f" as {status.user.metadata.name} (Session {status.session.metadata.name})", ""
