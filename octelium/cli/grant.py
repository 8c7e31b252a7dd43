"""`octeliumctl grant` and `revoke`: one User's right to one Service, as an inline Policy of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.lengths import Length
from octelium.cli.verb import verb
from octelium.cli.warned import teller
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_PREFIX = "grant-"
_HTTP = ("HTTP", "WEB")
"""Modes whose requests have a path and a method."""
_READS = '["GET", "HEAD"]'


@verb(
    example="""
    octeliumctl grant bob app
    octeliumctl grant bob app --path /albums --read-only
    octeliumctl grant bob db --for 2hours
    """
)
@click.argument("user", type=resource_name("user"))
@click.argument("service", type=resource_name("service"))
@click.option("--path", metavar="PREFIX", help="Only this path and those below it.")
@click.option("--read-only", is_flag=True, help="Only GET and HEAD.")
@click.option("--for", "length", type=Length(), help="Only so long, from now.")
def grant(
    invocation: Invocation,
    user: str,
    service: str,
    path: str | None,
    read_only: bool,
    length: int | None,
) -> None:
    """Let a User use a Service.

    This adds an inline Policy `grant-USER` to the Service, or replaces it. Other Policies that
    allow or refuse stay as they are: `octeliumctl policy who SERVICE` shows the whole. Files that
    declare the Service and are applied later take the place of what was granted here.
    """
    from octelium.schema.kinds import KINDS
    from octelium.schema.pb import core_v1_pb2 as core

    until = None
    if length is not None:
        until = datetime.fromtimestamp(invocation.now(), UTC) + timedelta(seconds=length)
    resources = invocation.client.resources
    resources.get(KINDS["User"], user)  # who is misspelt would get a right unnoticed
    message = resources.get(KINDS["Service"], service)
    _check(message, path, read_only=read_only)
    inline = message.spec.authorization.inline_policies
    _remove(inline, user)
    made = inline.add(name=f"{_PREFIX}{user}")
    rule = made.spec.rules.add(name="granted")
    rule.effect = core.PolicySpecRuleEffect__.ALLOW
    for match in _matches(user, path, until, read_only=read_only):
        rule.condition.all.of.add(match=match)
    _write(invocation, message)
    ends = f", until {until:%Y-%m-%dT%H:%M:%SZ}" if until else ""
    invocation.terminal.show(f"{user} may use {service}{ends}")


@verb(example="octeliumctl revoke bob app")
@click.argument("user", type=resource_name("user"))
@click.argument("service", type=resource_name("service"))
def revoke(invocation: Invocation, user: str, service: str) -> None:
    """Take back what `grant` gave a User.

    The next request is refused, and open streams end. Rights that come from other Policies stay;
    who must not come in anywhere is switched off: `octeliumctl update user USER --disable`.
    """
    from octelium.client.errors import ClientError
    from octelium.schema.kinds import KINDS

    message = invocation.client.resources.get(KINDS["Service"], service)
    if not _remove(message.spec.authorization.inline_policies, user):
        raise ClientError(
            f"{user} has no grant on {service}",
            f"by which rule a User may use it: octeliumctl policy who {service}",
        )
    _write(invocation, message)
    invocation.terminal.show(f"the grant of {user} on {service} is gone")


def _check(service: Any, path: str | None, *, read_only: bool) -> None:
    """Raises UsageError for limits that no request to the Service can meet."""
    from octelium.cli.columns import enum_name

    mode = enum_name(service.spec, "mode")
    if (path is not None or read_only) and mode not in _HTTP:
        raise click.UsageError(f"--path and --read-only are for HTTP; the Service is {mode}.")
    if path is not None and not path.startswith("/"):
        raise click.UsageError(f"--path {path!r} does not begin with /.")


def _remove(inline: Any, user: str) -> bool:
    """Take a User's grant away; whether there was one."""
    places = [place for place, each in enumerate(inline) if each.name == f"{_PREFIX}{user}"]
    for place in reversed(places):
        del inline[place]
    return bool(places)


def _matches(user: str, path: str | None, until: datetime | None, *, read_only: bool) -> list[str]:
    """The parts of the condition, in CEL."""
    import json

    found = [f"ctx.user.metadata.name == {json.dumps(user)}"]
    if path is not None and (prefix := path.rstrip("/")):
        own, below = json.dumps(prefix), json.dumps(f"{prefix}/")
        asked = "ctx.request.http.path"
        found.append(f"{asked} == {own} || {asked}.startsWith({below})")
    if read_only:
        found.append(f"ctx.request.http.method in {_READS}")
    if until is not None:
        found.append(f'now() < timestamp("{until:%Y-%m-%dT%H:%M:%SZ}")')
    return found


def _write(invocation: Invocation, service: Any) -> None:
    from octelium.schema.kinds import KINDS

    resources = invocation.client.resources
    resources.update(KINDS["Service"], service, warned=teller(invocation.terminal))
