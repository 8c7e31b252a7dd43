"""`octeliumctl create credential`: a Credential, and the token that comes with it."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.failure import Failed
from octelium.cli.formats import Format
from octelium.cli.lengths import Length
from octelium.cli.resources import show_message
from octelium.cli.verb import verb
from octelium.cli.words import each, resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    octeliumctl create credential --user alice
    octeliumctl create credential ci --user ci --type oauth2 --policy allow-all -o json
    octeliumctl create credential ci --rotate
    """
)
@click.argument("name", required=False)
@click.option("--user", "owner", metavar="NAME", type=resource_name("user"), help="Whose it is.")
@click.option(
    "--type",
    "credential_type",
    type=click.Choice(["auth-token", "oauth2", "access-token"]),
    default="auth-token",
    show_default=True,
    help="What it gives.",
)
@click.option(
    "--session-type",
    type=click.Choice(["client", "clientless"]),
    help="Of the Sessions that it makes [default: client; always clientless with oauth2].",
)
@click.option("--expire-in", type=Length(), help="When it ends, such as 30days.")
@click.option("--one-time", is_flag=True, help="Good for one authentication.")
@click.option("--max-authn", type=click.IntRange(1), help="Good for so many authentications.")
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    type=resource_name("policy"),
    multiple=True,
    callback=each,
    help="Attach a Policy.",
)
@click.option("--rotate", is_flag=True, help="Only a new token for the Credential NAME.")
@click.option(
    "-o", "--out", "output", type=Format(("json", "yaml", "token")), help="The form of the output."
)
def credential(
    invocation: Invocation,
    name: str | None,
    owner: str | None,
    credential_type: str,
    session_type: str | None,
    expire_in: int | None,
    one_time: bool,
    max_authn: int | None,
    policies: tuple[str, ...],
    rotate: bool,
    output: str | None,
) -> None:
    """Create a Credential and show its token.

    The token is never shown again. NAME is made up if it is left out. With --rotate, an existing
    Credential gets a new token and the former one becomes useless.
    """
    from octelium.schema.kinds import KINDS, new
    from octelium.schema.pb import core_v1_pb2 as core

    request = core.GenerateCredentialTokenRequest()
    if rotate:
        if name is None:
            raise click.UsageError("Name the Credential to rotate.")
        request.credential_ref.name = name
    else:
        if owner is None:
            raise click.UsageError("Name the User with --user.")
        chosen = name or f"{owner}-{credential_type}-{_random(4)}"
        message = new(KINDS["Credential"])
        message.metadata.name = chosen
        types = core.CredentialSpecType__.CredentialSpecType
        message.spec.type = types.Value(credential_type.replace("-", "_").upper())
        message.spec.user = owner
        sessions = core.SessionStatusType__.SessionStatusType
        kind_of_session = "clientless" if credential_type == "oauth2" else session_type or "client"
        message.spec.session_type = sessions.Value(kind_of_session.upper())
        message.spec.max_authentications = max_authn or int(one_time)
        if expire_in is not None:
            moment = datetime.fromtimestamp(invocation.now(), UTC) + timedelta(seconds=expire_in)
            message.spec.expires_at.FromDatetime(moment)
        if policies:
            message.spec.authorization.policies.extend(policies)
        made = invocation.client.resources.create(KINDS["Credential"], message)
        reference = request.credential_ref
        reference.api_version, reference.kind = made.api_version, made.kind
        reference.uid, reference.name = made.metadata.uid, made.metadata.name
        reference.resource_version = made.metadata.resource_version
        invocation.terminal.note(f"credential/{made.metadata.name} created")
    token = invocation.client.core.call("GenerateCredentialToken", request)
    if output in ("json", "yaml"):
        show_message(invocation, token, output)
        return
    for label, text in _token_lines(token):
        invocation.terminal.show(text if output == "token" else f"{label}: {text}")


def _token_lines(token: Any) -> list[tuple[str, str]]:
    match token.WhichOneof("type"):
        case "authentication_token":
            return [("Authentication Token", token.authentication_token.authentication_token)]
        case "access_token":
            return [("Access Token", token.access_token.access_token)]
        case "oauth2_credentials":
            pair = token.oauth2_credentials
            return [("Client ID", pair.client_id), ("Client Secret", pair.client_secret)]
        case other:
            raise Failed from ValueError(f"unknown token {other}")


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(length))
