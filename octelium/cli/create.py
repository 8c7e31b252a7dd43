"""`octeliumctl create`: one resource by options, or any by files."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.failure import EXPECTED, Failed, report
from octelium.cli.formats import Format, output_option
from octelium.cli.invocation import Invocation
from octelium.cli.lengths import Length
from octelium.cli.resources import require_method, short_name, show_message
from octelium.cli.verb import Verb, VerbGroup, verb
from octelium.cli.words import each

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODES = {
    "http": "HTTP", "https": "HTTP", "ws": "HTTP", "wss": "HTTP", "h2c": "GRPC", "grpc": "GRPC",
    "ssh": "SSH", "postgres": "POSTGRES", "postgresql": "POSTGRES", "mysql": "MYSQL",
    "tcp": "TCP", "udp": "UDP", "dns": "DNS", "dot": "DNS", "socks5": "SOCKS5", "rdp": "RDP",
}  # fmt: skip


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    example="""
    octeliumctl create user alice --email alice@example.com --group ops
    octeliumctl create service wiki --upstream http://10.0.0.5:8080 --public
    octeliumctl create credential --user alice
    octeliumctl create -f idp.yaml
    """,
)
@click.option("-f", "--file", "files", metavar="PATH", multiple=True, help="What files declare.")
@click.pass_context
def create(ctx: click.Context, files: tuple[str, ...]) -> None:
    """Create a resource, or, with -f, all that files declare.

    What exists already is an error; `apply` does both.
    """
    if ctx.invoked_subcommand is not None:
        if files:
            raise click.UsageError("Give either -f or a kind.")
        return
    if not files:
        raise click.UsageError("Name a kind, or files with -f PATH.")
    write_files(ctx.ensure_object(Invocation), files, "Create")


def write_files(invocation: Invocation, files: Sequence[str], method: str) -> None:
    """Create or update, one by one, what files declare; failures are reported. Raises Failed."""
    from octelium.cli.sources import read_documents, stored_name

    documents = read_documents(files, any_kind=method == "Update")
    documents.sort(key=lambda document: document.kind.apply_order)
    for kind in {document.kind.name: document.kind for document in documents}.values():
        require_method(invocation, kind, method)
    resources = invocation.client.resources
    failed = False
    for document in documents:
        label = short_name(document.kind, stored_name(document))
        try:
            if method == "Create":
                resources.create(document.kind, document.message)
            else:
                resources.update(document.kind, document.message)
        except EXPECTED as error:
            report(error, invocation.terminal, f"{document.source}:{document.line}: {label}")
            failed = True
        else:
            invocation.terminal.show(f"{label} {method.lower()}d")
    if failed:
        raise Failed


def make(invocation: Invocation, message: Any, output: str | None) -> None:
    """Create a resource and show it, or that it was created."""
    from octelium.schema.kinds import kind_of

    kind = kind_of(message)
    made = invocation.client.resources.create(kind, message)
    if output in (None, "name"):
        label = short_name(kind, made.metadata.name)
        invocation.terminal.show(label if output else f"{label} created")
    else:
        show_message(invocation, made, output)


_output = output_option("json", "yaml", "name")


@verb(example="octeliumctl create namespace prod")
@click.argument("name")
@_output
def namespace(invocation: Invocation, name: str, output: str | None) -> None:
    """Create a Namespace."""
    from octelium.schema.kinds import KINDS

    message = _new(KINDS["Namespace"], name)
    message.spec.SetInParent()
    make(invocation, message, output)


@verb(example="octeliumctl create group ops --policy allow-all")
@click.argument("name")
@click.option(
    "--policy", "policies", metavar="NAME", multiple=True, callback=each, help="Attach a Policy."
)
@_output
def group(invocation: Invocation, name: str, policies: tuple[str, ...], output: str | None) -> None:
    """Create a Group."""
    from octelium.schema.kinds import KINDS

    message = _new(KINDS["Group"], name)
    message.spec.SetInParent()
    if policies:
        message.spec.authorization.policies.extend(policies)
    make(invocation, message, output)


@verb(
    example="""
    octeliumctl create user alice --email alice@example.com --group ops
    octeliumctl create user ci --type workload
    """
)
@click.argument("name")
@click.option(
    "--type",
    "user_type",
    type=click.Choice(["human", "workload"], case_sensitive=False),
    default="human",
    show_default=True,
    help="Who the User is.",
)
@click.option("--email", metavar="ADDRESS", help="Only for a human.")
@click.option(
    "--group", "groups", metavar="NAME", multiple=True, callback=each, help="A Group; repeatable."
)
@click.option(
    "--policy", "policies", metavar="NAME", multiple=True, callback=each, help="Attach a Policy."
)
@_output
def user(
    invocation: Invocation,
    name: str,
    user_type: str,
    email: str | None,
    groups: tuple[str, ...],
    policies: tuple[str, ...],
    output: str | None,
) -> None:
    """Create a User."""
    from octelium.schema.kinds import KINDS
    from octelium.schema.pb import core_v1_pb2 as core

    message = _new(KINDS["User"], name)
    message.spec.type = core.UserSpecType__.UserSpecType.Value(user_type.upper())
    message.spec.email = email or ""
    message.spec.groups.extend(groups)
    if policies:
        message.spec.authorization.policies.extend(policies)
    make(invocation, message, output)


@verb(
    example="""
    octeliumctl create service wiki.prod --upstream http://10.0.0.5:8080 --public
    octeliumctl create service db --upstream postgres://10.0.0.6 --policy allow-all
    """
)
@click.argument("name", metavar="NAME[.NAMESPACE]")
@click.option("--upstream", metavar="URL", required=True, help="Where the Service really is.")
@click.option("--mode", metavar="MODE", help="Such as HTTP or TCP; by default from the URL.")
@click.option("--port", type=click.IntRange(1, 65535), help="The Service's own port.")
@click.option("--public", is_flag=True, help="Reachable without a client, by its host name.")
@click.option(
    "--policy", "policies", metavar="NAME", multiple=True, callback=each, help="Attach a Policy."
)
@_output
def service(
    invocation: Invocation,
    name: str,
    upstream: str,
    mode: str | None,
    port: int | None,
    public: bool,
    policies: tuple[str, ...],
    output: str | None,
) -> None:
    """Create a Service."""
    from octelium.schema.kinds import KINDS

    message = _new(KINDS["Service"], name)
    message.spec.mode = _mode(mode, upstream)
    message.spec.port = port or 0
    message.spec.is_public = public
    message.spec.config.upstream.url = upstream
    if policies:
        message.spec.authorization.policies.extend(policies)
    make(invocation, message, output)


@verb(
    example="""
    octeliumctl create secret api-key -f key.txt
    octeliumctl create secret wiki-tls --type cert --cert chain.pem --cert-key key.pem
    """
)
@click.argument("name")
@click.option("--value", metavar="TEXT", help="The value itself.")
@click.option("-f", "--file", metavar="PATH", help="A file with the value; `-`: stdin.")
@click.option(
    "--type",
    "secret_type",
    type=click.Choice(["value", "cert"]),
    default="value",
    show_default=True,
    help="What it is: a value, or a certificate with its key.",
)
@click.option("--cert", metavar="PATH", help="The certificate chain (PEM).")
@click.option("--cert-key", metavar="PATH", help="Its private key (PEM).")
def secret(
    invocation: Invocation,
    name: str,
    value: str | None,
    file: str | None,
    secret_type: str,
    cert: str | None,
    cert_key: str | None,
) -> None:
    """Create a Secret. Its value is never shown again."""
    from octelium.cli.payload import fill_secret
    from octelium.schema.kinds import KINDS

    message = _new(KINDS["Secret"], name)
    message.spec.SetInParent()
    fill_secret(message, value, file, secret_type, cert, cert_key)
    make(invocation, message, None)


@verb(example="octeliumctl create config app -f app.json")
@click.argument("name")
@click.option("--value", metavar="TEXT", help="The value itself.")
@click.option("-f", "--file", metavar="PATH", help="A file with the value; `-`: stdin.")
def config(invocation: Invocation, name: str, value: str | None, file: str | None) -> None:
    """Create a Config."""
    from octelium.cli.payload import read_value
    from octelium.schema.kinds import KINDS

    message = _new(KINDS["Config"], name)
    message.spec.SetInParent()
    message.data.value_bytes = read_value(value, file, "Value")
    make(invocation, message, None)


@verb(
    example="""
    octeliumctl create credential --user alice
    octeliumctl create credential ci --user ci --type oauth2 --policy allow-all -o json
    octeliumctl create credential ci --rotate
    """
)
@click.argument("name", required=False)
@click.option("--user", "owner", metavar="NAME", help="Whose it is.")
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
    "--policy", "policies", metavar="NAME", multiple=True, callback=each, help="Attach a Policy."
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
    from octelium.schema.kinds import KINDS
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
        message = _new(KINDS["Credential"], chosen)
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


def _new(kind: Any, name: str) -> Any:
    from octelium.schema.kinds import new

    message = new(kind)
    message.metadata.name = name
    return message


def _mode(mode: str | None, url: str) -> int:
    from octelium.schema.pb import core_v1_pb2 as core

    names = core.ServiceSpecMode__.ServiceSpecMode
    modes = {name: number for name, number in names.items() if number}
    scheme = url.partition("://")[0].lower()
    chosen = (mode or _MODES.get(scheme, "")).upper().replace("-", "_")
    if chosen not in modes:
        problem = f"There is no mode {mode!r}" if mode else f"No mode follows from {url!r}"
        raise click.UsageError(f"{problem}; give --mode with one of {', '.join(modes)}.")
    return modes[chosen]


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(length))


COMMANDS: tuple[Verb, ...] = (namespace, group, user, service, secret, config, credential)
for _command in COMMANDS:
    create.add_command(_command)
