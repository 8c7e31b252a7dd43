"""`octelium auth authenticator`: a second proof, from an app that shows passwords.

Security keys and passkeys speak to browsers; the Cluster's login host has a page for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click

from octelium.cli.failure import Failed
from octelium.cli.formats import output_option
from octelium.cli.resources import show_message
from octelium.cli.table import table
from octelium.cli.verb import verb
from octelium.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.cli.invocation import Invocation
    from octelium.client.authenticators import Authenticators
    from octelium.schema.pb import auth_v1_pb2 as auth

_TRIES = 3
_TYPES = ("totp", "fido", "tpm")
_HEADERS = ("NAME", "TYPE", "DISPLAY NAME", "REGISTERED", "DESCRIPTION")


class AuthenticatorError(ClientError):
    """What cannot be done on a terminal, or with the Authenticators that there are."""


@verb("list", example="octelium auth authenticator list -o json")
@output_option()
def show(invocation: Invocation, output: str | None) -> None:
    """List one's own Authenticators."""
    listing = invocation.client.authenticators.list()
    if output == "name":
        for one in listing.items:
            invocation.terminal.show(one.metadata.name)
    elif output in (None, "table"):
        invocation.terminal.show(table(_HEADERS, map(_row, listing.items)))
    else:
        show_message(invocation, listing, output)


@verb(
    example="""
    octelium auth authenticator create
    octelium auth authenticator create --name "Old phone"
    """
)
@click.option("--type", "kind", type=click.Choice(_TYPES), default="totp", help="What it is.")
@click.option("--name", "display_name", metavar="TEXT", default="", help="How it is shown.")
def create(invocation: Invocation, kind: str, display_name: str) -> None:
    """Register an app that shows passwords (TOTP).

    Shows the key, as a QR code and as text, and asks for a password of the app. Security keys and
    passkeys are registered in a browser.
    """
    _require_totp(invocation, kind)
    api = invocation.client.authenticators
    made = api.create(display_name)
    name = made.metadata.name
    url = api.begin_registration(made)
    for line in _drawn(url):
        invocation.terminal.show(line)
    (key,) = parse_qs(urlsplit(url).query)["secret"]
    invocation.terminal.show(f"Key: {key}")
    for _ in range(_TRIES):
        password = _password("Code that the app shows")
        try:
            api.finish_registration(made, password)
        except ClientError as error:
            if getattr(error, "code", "") != "PERMISSION_DENIED":
                raise
            invocation.terminal.warn("that is not the code of this moment")
            continue
        invocation.terminal.note(f"Authenticator {name} is registered.")
        return
    api.delete(name)
    invocation.terminal.fail("the app was not registered", "check the clock of the phone")
    raise Failed


@verb(example="octelium auth authenticator delete totp-a1b2c3")
@click.argument("name")
def delete(invocation: Invocation, name: str) -> None:
    """Remove one of one's own Authenticators."""
    invocation.client.authenticators.delete(name)
    invocation.terminal.show(f"{name} deleted")


@verb(
    example="""
    octelium auth authenticator authenticate
    octelium auth authenticator authenticate totp-a1b2c3 --code 123456
    """
)
@click.argument("name", required=False)
@click.option("--code", metavar="CODE", help="The password that the app shows; asked for if not.")
def authenticate(invocation: Invocation, name: str | None, code: str | None) -> None:
    """Authenticate the Session with an app that shows passwords (TOTP)."""
    api = invocation.client.authenticators
    one = _chosen(invocation, api, name)
    api.authenticate(one, code or _password(f"Password for {one.metadata.name}"))
    invocation.terminal.note(f"Authenticated with {one.metadata.name}.")


def _chosen(invocation: Invocation, api: Authenticators, name: str | None) -> auth.Authenticator:
    usable = [one for one in api.usable() if name in (None, one.metadata.name)]
    if len(usable) == 1:
        return usable[0]
    if usable:
        names = ", ".join(one.metadata.name for one in usable)
        raise AuthenticatorError("there are several Authenticators", f"name one of {names}")
    for one in api.list().items if name else ():
        if one.metadata.name == name:
            _require_totp(invocation, _type(one).lower())
    wanted = f"Authenticator {name} cannot" if name else "none of your Authenticators can"
    raise AuthenticatorError(
        f"{wanted} be used here", "register an app: octelium auth authenticator create"
    )


def _require_totp(invocation: Invocation, kind: str) -> None:
    if kind == "fido":
        raise AuthenticatorError(
            "security keys and passkeys cannot be used on a terminal",
            f"use a browser: https://{invocation.client.domain}/authenticators",
        )
    if kind == "tpm":
        raise AuthenticatorError("this version offers no TPM Authenticators", "use --type totp")


def _password(prompt: str) -> str:
    answer: str = click.prompt(prompt, err=True)
    return answer


def _drawn(url: str) -> Sequence[str]:
    """A QR code of half blocks, two rows of the code in each line."""
    import io

    import segno

    drawing = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(out=drawing, compact=True)
    return drawing.getvalue().splitlines()


def _type(one: auth.Authenticator) -> str:
    from octelium.schema.pb import auth_v1_pb2 as auth_v1

    return auth_v1.AuthenticatorStatusType__.AuthenticatorStatusType.Name(one.status.type)


def _row(one: auth.Authenticator) -> tuple[str, ...]:
    registered = "yes" if one.status.is_registered else "no"
    name = one.spec.display_name
    return one.metadata.name, _type(one), name, registered, one.status.description
