"""`octeliumctl grant` and `revoke`: one User's right to one Service, as an inline Policy of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.lengths import Length
from octelium.cli.verb import verb
from octelium.cli.warned import teller
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.resources import Resources

_PREFIX = "grant-"
_HTTP = ("HTTP", "WEB")
"""Modes whose requests have a path and a method."""
_READ_ONLY = 'ctx.request.http.method in ["GET", "HEAD"]'
_PATH = re.escape("ctx.request.http.path")
_PARTS = (
    re.compile(r'ctx\.user\.metadata\.uid == "[0-9a-f-]{36}"'),
    re.compile(rf'{_PATH} == "((?:[^"\\]|\\.)*)" \|\| {_PATH}\.startsWith\("\1/"\)'),
    re.compile(re.escape(_READ_ONLY)),
    re.compile(r'now\(\) < timestamp\("[0-9TZ:-]{20}"\)'),
)
"""What may follow the User's name in a grant's condition, in this order."""


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

    This adds an inline Policy `grant-USER` to the Service, or replaces the one of an earlier grant.
    Other Policies that allow or refuse stay as they are: `octeliumctl policy who SERVICE` shows the
    whole. Files that declare the Service and are applied later take the place of what was granted
    here. A User who is deleted and created again has no grants.
    """
    from octelium.schema.kinds import KINDS

    until = None
    if length is not None:
        until = datetime.fromtimestamp(invocation.now(), UTC) + timedelta(seconds=length)
    resources = invocation.client.resources
    uid = _uid(resources, user, service)
    made = _policy(user, _matches(user, uid, path, until, read_only=read_only))

    def adjust(message: Any) -> None:
        _check(message, path, read_only=read_only)
        _remove(message, user)
        message.spec.authorization.inline_policies.append(made)

    tell = teller(invocation.terminal)
    resources.change(KINDS["Service"], service, adjust, warned=tell)
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

    def adjust(message: Any) -> None:
        if not _remove(message, user):
            raise ClientError(
                f"{user} has no grant on {service}",
                f"by which rule a User may use it: octeliumctl policy who {service}",
            )

    tell = teller(invocation.terminal)
    invocation.client.resources.change(KINDS["Service"], service, adjust, warned=tell)
    invocation.terminal.show(f"the grant of {user} on {service} is gone")


def _uid(resources: Resources, user: str, service: str) -> str:
    """The uid of the User. Raises ApiError, which tells if the names were taken for each other."""
    from octelium.client.errors import ApiError
    from octelium.schema.kinds import KINDS

    try:
        return str(resources.get(KINDS["User"], user).metadata.uid)
    except ApiError as error:
        if error.code != "NOT_FOUND":
            raise
        try:
            resources.get(KINDS["Service"], user)
            resources.get(KINDS["User"], service)
        except ApiError:
            raise error from None  # the names are no others' either, or that is not told
        raise ApiError(
            error.code,
            f"{user} is a Service, and {service} a User",
            error.method,
            f"the User comes first: octeliumctl grant {service} {user}",
        ) from error


def _check(service: Any, path: str | None, *, read_only: bool) -> None:
    """Raises UsageError for limits that no request to the Service can meet."""
    from octelium.cli.columns import enum_name

    mode = enum_name(service.spec, "mode")
    if (path is not None or read_only) and mode not in _HTTP:
        raise click.UsageError(f"--path and --read-only are for HTTP; the Service is {mode}.")
    if path is not None and not path.startswith("/"):
        raise click.UsageError(f"--path {path!r} does not begin with /.")


def _remove(service: Any, user: str) -> bool:
    """Take a User's grant away; whether there was one.

    Raises ClientError for a Policy of that name that `grant` would not have made.
    """
    from octelium.client.errors import ClientError

    inline, name = service.spec.authorization.inline_policies, f"{_PREFIX}{user}"
    places = [place for place, each in enumerate(inline) if each.name == name]
    if not all(_is_grant(inline[place], user) for place in places):
        raise ClientError(
            f"somebody wrote the inline Policy {name} of {service.metadata.name} by hand",
            f"rename or remove it first: octeliumctl edit service {service.metadata.name}",
        )
    for place in reversed(places):
        del inline[place]
    return bool(places)


def _policy(user: str, matches: list[str]) -> Any:
    """The inline Policy of a grant."""
    from octelium.schema.pb import core_v1_pb2 as core

    made = core.InlinePolicy(name=f"{_PREFIX}{user}")
    rule = made.spec.rules.add(name="granted")
    rule.effect = core.PolicySpecRuleEffect__.ALLOW
    for match in matches:
        rule.condition.all.of.add(match=match)
    return made


def _is_grant(policy: Any, user: str) -> bool:
    """Whether an inline Policy is as `grant` makes one; in a file the uid may be left out."""
    texts = [each.match for rule in policy.spec.rules for each in rule.condition.all.of]
    rest = list(texts)
    if not rest or rest.pop(0) != _named(user):
        return False
    for part in _PARTS:
        if rest and part.fullmatch(rest[0]):
            rest.pop(0)
    return not rest and bool(policy == _policy(user, texts))


def _named(user: str) -> str:
    return f"ctx.user.metadata.name == {json.dumps(user)}"


def _matches(
    user: str, uid: str, path: str | None, until: datetime | None, *, read_only: bool
) -> list[str]:
    """The parts of the condition, in CEL. The uid is of this User alone, the name of the next one
    too who gets it.
    """
    found = [_named(user), f"ctx.user.metadata.uid == {json.dumps(uid)}"]
    if path is not None and (prefix := path.rstrip("/")):
        own, below = json.dumps(prefix), json.dumps(f"{prefix}/")
        asked = "ctx.request.http.path"
        found.append(f"{asked} == {own} || {asked}.startsWith({below})")
    if read_only:
        found.append(_READ_ONLY)
    if until is not None:
        found.append(f'now() < timestamp("{until:%Y-%m-%dT%H:%M:%SZ}")')
    return found
