"""`octeliumctl update`: what changes about one resource, or what files say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.create import file_options, write_or_group
from octelium.cli.lengths import Length
from octelium.cli.origin import tell_sessions
from octelium.cli.resources import short_name
from octelium.cli.secret_options import secret_options
from octelium.cli.verb import VerbGroup, verb
from octelium.cli.warned import teller
from octelium.cli.words import FILE, resource_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.cli.invocation import Invocation
    from octelium.cli.verb import Verb

_SWITCHED = ("Service", "Credential", "Policy", "IdentityProvider")


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    example="""
    octeliumctl update secret api-key -f key.txt
    octeliumctl update device linux-abcd1234 --approve
    octeliumctl update user alice --disable
    octeliumctl update -f policy.yaml
    """,
)
@file_options
@click.pass_context
def update(ctx: click.Context, files: tuple[str, ...], strict: bool) -> None:
    """Change a resource, or, with -f, replace all that files declare.

    What does not exist is an error; `apply` creates it.
    """
    write_or_group(ctx, files, "Update", strict=strict)


@verb(example="octeliumctl update secret api-key -f key.txt")
@click.argument("name", type=resource_name("secret"))
@secret_options
def secret(
    invocation: Invocation,
    name: str,
    value: str | None,
    file: str | None,
    secret_type: str,
    cert: str | None,
    cert_key: str | None,
) -> None:
    """Give a Secret another value."""
    from octelium.cli.payload import fill_secret
    from octelium.schema.kinds import KINDS

    @cache
    def given() -> Any:
        made = KINDS["Secret"].message()
        fill_secret(made, value, file, secret_type, cert, cert_key)
        return made

    def fill(message: Any) -> None:
        # Stdin and a prompt give the value once.
        message.spec.MergeFrom(given().spec)
        message.data.MergeFrom(given().data)

    change(invocation, "Secret", name, fill)


@verb(example="octeliumctl update config app -f app.json")
@click.argument("name", type=resource_name("config"))
@click.option("--value", metavar="TEXT", help="The value itself.")
@click.option("-f", "--file", metavar="PATH", type=FILE, help="A file with the value; `-`: stdin.")
def config(invocation: Invocation, name: str, value: str | None, file: str | None) -> None:
    """Give a Config another value."""
    from octelium.cli.payload import read_value

    given = cache(lambda: read_value(value, file, "Value"))

    def fill(message: Any) -> None:
        message.data.value_bytes = given()

    change(invocation, "Config", name, fill)


@verb(
    example="""
    octeliumctl update session alice-x1y2z3 --reject
    octeliumctl update session alice-x1y2z3 --expire-in 2hours
    """
)
@click.argument("name", type=resource_name("session"))
@click.option("--approve/--reject", "approved", default=None, help="Make it active, or refuse it.")
@click.option("--expire-in", type=Length(), help="When it ends, from now.")
def session(
    invocation: Invocation, name: str, approved: bool | None, expire_in: int | None
) -> None:
    """Approve or reject a Session, or change when it ends."""
    if approved is None and expire_in is None:
        raise click.UsageError("Give --approve, --reject or --expire-in.")

    def adjust(message: Any) -> None:
        if approved is not None:
            _set_state(message, approved)
        if expire_in is not None:
            moment = datetime.fromtimestamp(invocation.now(), UTC) + timedelta(seconds=expire_in)
            message.spec.expires_at.FromDatetime(moment)

    change(invocation, "Session", name, adjust)


def change(invocation: Invocation, kind_name: str, name: str, adjust: Callable[[Any], None]) -> Any:
    """Get a resource, adjust it, send it back; the resource as stored.

    `adjust` is called again if somebody else changes the resource in between.
    """
    from octelium.schema.kinds import KINDS

    kind = KINDS[kind_name]
    tell = teller(invocation.terminal)
    updated = invocation.client.resources.change(kind, name, adjust, warned=tell)
    invocation.terminal.show(f"{short_name(kind, updated.metadata.name)} updated")
    return updated


def _set_state(message: Any, approved: bool) -> None:
    values = message.spec.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_name
    message.spec.state = values["ACTIVE" if approved else "REJECTED"].number


_EXAMPLES = {
    "Authenticator": "totp-a1b2c3",
    "Credential": "ci",
    "Device": "linux-abcd1234",
    "IdentityProvider": "okta",
    "Policy": "staff",
    "Service": "wiki.prod",
}
"""Names as such resources have them."""


def _approval(kind_name: str) -> Verb:
    word = kind_name.lower()

    @verb(word, example=f"octeliumctl update {word} {_EXAMPLES[kind_name]} --approve")
    @click.argument("name", type=resource_name(word))
    @click.option("--approve/--reject", "approved", default=None, help="Accept or refuse it.")
    def command(invocation: Invocation, name: str, approved: bool | None) -> None:
        if approved is None:
            raise click.UsageError("Give --approve or --reject.")
        change(invocation, kind_name, name, lambda message: _set_state(message, approved))

    command.help = f"Approve or reject {'an' if word[0] in 'aeiou' else 'a'} {kind_name}."
    return command


def _switch(kind_name: str) -> Verb:
    word = kind_name.lower()

    @verb(word, example=f"octeliumctl update {word} {_EXAMPLES[kind_name]} --disable")
    @click.argument("name", type=resource_name(word))
    @click.option("--enable/--disable", "enabled", default=None, help="Switch it on or off.")
    def command(invocation: Invocation, name: str, enabled: bool | None) -> None:
        if enabled is None:
            raise click.UsageError("Give --enable or --disable.")

        def switch(message: Any) -> None:
            message.spec.is_disabled = not enabled

        updated = change(invocation, kind_name, name, switch)
        if kind_name == "Credential" and not enabled:
            tell_sessions(invocation, updated)

    command.help = f"Switch {'an' if word[0] in 'aeio' else 'a'} {kind_name} on or off."
    return command


@verb(
    example="""
    octeliumctl update user alice --disable
    octeliumctl update user alice --email alice@example.com
    """
)
@click.argument("name", type=resource_name("user"))
@click.option("--enable/--disable", "enabled", default=None, help="Switch it on or off.")
@click.option("--email", metavar="ADDRESS", help="The e-mail address; empty: none.")
def user(invocation: Invocation, name: str, enabled: bool | None, email: str | None) -> None:
    """Switch a User on or off, or give it another e-mail address."""
    if enabled is None and email is None:
        raise click.UsageError("Give --enable, --disable or --email.")

    def adjust(message: Any) -> None:
        if enabled is not None:
            message.spec.is_disabled = not enabled
        if email is not None:
            message.spec.email = email

    change(invocation, "User", name, adjust)


for _command in (
    user,
    secret,
    config,
    session,
    _approval("Device"),
    _approval("Authenticator"),
    *(_switch(_kind) for _kind in _SWITCHED),
):
    update.add_command(_command)
