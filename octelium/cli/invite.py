"""`octeliumctl invite` and `octops invite`: links by which people sign in for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.cert import data_dir_option
from octelium.cli.formats import json_text, output_option
from octelium.cli.inert import inert
from octelium.cli.verb import verb
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_qr_option = click.option("--qr", is_flag=True, help="Also as a picture for phones.")


@verb(
    example="""
    octeliumctl invite alice
    octeliumctl invite alice --qr
    octeliumctl invite alice --revoke
    """
)
@click.argument("user", type=resource_name("user"))
@click.option("--revoke", is_flag=True, help="Make the link void instead.")
@_qr_option
@output_option("text", "json", default="text")
def invite(invocation: Invocation, user: str, output: str, qr: bool, revoke: bool) -> None:
    """Make a link by which a person registers a passkey, and is signed in.

    USER is a HUMAN. The link works once, within 15 minutes, and makes an earlier one void. From
    then on the person signs in with the passkey.
    """
    from octelium.client import invitations
    from octelium.client.errors import ApiError

    _check(output, qr=qr)
    service = invocation.client.api.ext
    if revoke:
        if qr or output != "text":
            raise click.UsageError("--revoke shows no link: leave out --qr and -o.")
        was = invitations.revoke(service, user)
        told = f"The invitation of {user} is void." if was else f"{user} has no invitation."
        invocation.terminal.note(told)
        return
    try:
        made = invitations.invite(service, user)
    except ApiError as error:
        if error.code == "NOT_FOUND" and not error.remedy:
            error.remedy = f"create it: octeliumctl create user {user}"
        raise
    _show(invocation, made.url, made.expires_at.seconds, made.user.name or user, output, qr=qr)
    _tell_held(invocation, made.user.name or user)


def _tell_held(invocation: Invocation, user: str) -> None:
    """What a User signs in with already: an invitation ends none of it."""
    from octelium.client.relations import Neighbourhood
    from octelium.schema.pb import core_v1_pb2 as core

    around = Neighbourhood(invocation.client.resources, invocation.client.domain)
    passkeys = [
        item.metadata.name
        for item in around.all("Authenticator", user=user)
        if item.status.type == core.AuthenticatorStatusType__.FIDO and item.status.is_registered
    ]
    sessions = len(around.all("Session", user=user))
    parts = [f"{_counted(len(passkeys), 'passkey')} ({', '.join(passkeys)})"] if passkeys else []
    parts += [_counted(sessions, "Session")] if sessions else []
    if not parts:
        return
    said = f"{user} has {' and '.join(parts)}, which stay good"
    if passkeys:
        said += f"; if lost: octeliumctl delete authenticator {' '.join(passkeys)}"
    invocation.terminal.note(said + ".")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


@verb(
    "invite",
    example="""
    octops invite alice --data-dir /var/lib/octelium
    octops invite admin --administrator --data-dir /var/lib/octelium
    """,
    connects=False,
)
@click.argument("user")
@click.option(
    "--administrator", is_flag=True, help="Make USER first, a person who may do everything."
)
@_qr_option
@output_option("text", "json", default="text")
@data_dir_option
def invite_locally(
    invocation: Invocation, user: str, output: str, data_dir: str, qr: bool, administrator: bool
) -> None:
    """Make a link by which a person registers a passkey, and is signed in.

    For the owner of the machine, as the user that `octelium up` runs as. USER is a HUMAN. The link
    works once, within 15 minutes, and makes an earlier one void.
    """
    from octelium.client.admin import new_invitation

    _check(output, qr=qr)
    made = new_invitation(data_dir, user, administrator=administrator)
    _show(invocation, made.url, made.expires_at, made.user, output, qr=qr)


def _check(output: str, *, qr: bool) -> None:
    if qr and output != "text":
        raise click.UsageError("--qr goes with text only: leave out -o.")


def _show(
    invocation: Invocation, url: str, expires_at: int, user: str, output: str, *, qr: bool
) -> None:
    """The link on stdout, what to know of it on stderr."""
    from datetime import UTC, datetime

    terminal = invocation.terminal
    ends = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if output == "json":
        terminal.show(json_text({"user": user, "url": url, "expiresAt": ends}))
        return
    terminal.show(inert(url))
    if qr:
        terminal.show(_picture(url))
    minutes = max(0, round((expires_at - invocation.now()) / 60))
    terminal.note(
        f"Send it to {user}, and to nobody else: whoever opens it first becomes {user}. "
        f"It works once, within {minutes} minutes."
    )


def _picture(url: str) -> str:
    """A QR code of half blocks, light on dark as terminals mostly are."""
    import io

    import segno

    drawn = io.StringIO()
    segno.make(url, error="m", micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue()
