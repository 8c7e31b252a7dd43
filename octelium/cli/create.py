"""`octeliumctl create`: one resource by options, or any by files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from octelium.cli.credential import credential
from octelium.cli.failure import EXPECTED, Failed, report
from octelium.cli.formats import output_option
from octelium.cli.inert import inert
from octelium.cli.invocation import Invocation
from octelium.cli.modes import warn_unserved
from octelium.cli.resources import require_method, short_name, show_message
from octelium.cli.secret_options import secret_options
from octelium.cli.verb import VerbGroup, verb
from octelium.cli.warned import require_clean, teller
from octelium.cli.words import FILE, each, resource_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MODES = {
    "http": "HTTP", "https": "HTTP", "ws": "HTTP", "wss": "HTTP", "h2c": "GRPC", "grpc": "GRPC",
    "ssh": "SSH", "postgres": "POSTGRES", "postgresql": "POSTGRES", "mysql": "MYSQL",
    "tcp": "TCP", "udp": "UDP", "dns": "DNS", "dot": "DNS", "socks5": "SOCKS5", "rdp": "RDP",
}  # fmt: skip


def file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name files, shared with `update`."""
    strict = click.option(
        "--strict", is_flag=True, help="With -f: refuse what would only be warned of."
    )
    files = click.option(
        "-f",
        "--file",
        "files",
        metavar="PATH",
        type=FILE,
        multiple=True,
        help="What files declare.",
    )
    return files(strict(function))


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
@file_options
@click.pass_context
def create(ctx: click.Context, files: tuple[str, ...], strict: bool) -> None:
    """Create a resource, or, with -f, all that files declare.

    What exists already is an error; `apply` does both.
    """
    write_or_group(ctx, files, "Create", strict=strict)


def write_or_group(
    ctx: click.Context, files: tuple[str, ...], method: str, *, strict: bool
) -> None:
    """Write files, unless a command for one kind was given. Raises UsageError, Failed."""
    if ctx.invoked_subcommand is not None:
        if files or strict:
            raise click.UsageError("Give either -f or a kind.")
        return
    if not files:
        raise click.UsageError("Name a kind, or files with -f PATH.")
    write_files(ctx.ensure_object(Invocation), files, method, strict=strict)


def write_files(
    invocation: Invocation, files: Sequence[str], method: str, *, strict: bool = False
) -> None:
    """Create or update, one by one, what files declare; failures are reported.

    Tells what is likely wrong with it; with `strict` that is refused.

    Raises Failed; with `strict` InvalidDocuments, before anything is written.
    """
    from octelium.cli.sources import read_documents, stored_name

    documents = read_documents(files, any_kind=method == "Update")
    documents.sort(key=lambda document: document.kind.apply_order)
    for kind in {document.kind.name: document.kind for document in documents}.values():
        require_method(invocation, kind, method)
    if strict:
        require_clean(documents)
    resources = invocation.client.resources
    write = resources.create if method == "Create" else resources.update
    failed = False
    for document in documents:
        label = short_name(document.kind, stored_name(document))
        tell = teller(invocation.terminal, document)
        try:
            write(document.kind, document.message, warned=tell, strict=strict)
        except EXPECTED as error:
            report(error, invocation.terminal, f"{inert(document.source)}:{document.line}: {label}")
            failed = True
        else:
            invocation.terminal.show(f"{label} {method.lower()}d")
            warn_unserved(invocation, [document.message])
    if failed:
        raise Failed


def make(invocation: Invocation, message: Any, output: str | None) -> None:
    """Create a resource and show it, or that it was created."""
    from octelium.schema.kinds import kind_of

    kind = kind_of(message)
    made = invocation.client.resources.create(kind, message, warned=teller(invocation.terminal))
    warn_unserved(invocation, [made])
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

    message = named(KINDS["Namespace"], name)
    message.spec.SetInParent()
    make(invocation, message, output)


@verb(example="octeliumctl create group ops --policy allow-all")
@click.argument("name")
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    type=resource_name("policy"),
    multiple=True,
    callback=each,
    help="Attach a Policy.",
)
@_output
def group(invocation: Invocation, name: str, policies: tuple[str, ...], output: str | None) -> None:
    """Create a Group."""
    from octelium.schema.kinds import KINDS

    message = named(KINDS["Group"], name)
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
    "--group",
    "groups",
    metavar="NAME",
    type=resource_name("group"),
    multiple=True,
    callback=each,
    help="A Group; repeatable.",
)
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    type=resource_name("policy"),
    multiple=True,
    callback=each,
    help="Attach a Policy.",
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

    message = named(KINDS["User"], name)
    message.spec.type = core.UserSpecType__.UserSpecType.Value(user_type.upper())
    message.spec.email = email or ""
    message.spec.groups.extend(groups)
    if policies:
        message.spec.authorization.policies.extend(policies)
    make(invocation, message, output)


@verb(
    example="""
    octeliumctl create service wiki.prod --upstream http://10.0.0.5:8080 --public
    octeliumctl create service api --upstream https://10.0.0.6 --public --policy allow-all
    """
)
@click.argument("name", metavar="NAME[.NAMESPACE]")
@click.option("--upstream", metavar="URL", required=True, help="Where the Service really is.")
@click.option("--mode", metavar="MODE", help="Such as HTTP or TCP; by default from the URL.")
@click.option("--port", type=click.IntRange(1, 65535), help="The Service's own port.")
@click.option("--public", is_flag=True, help="Reachable without a client, by its host name.")
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    type=resource_name("policy"),
    multiple=True,
    callback=each,
    help="Attach a Policy.",
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

    message = named(KINDS["Service"], name)
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
    """Create a Secret. Its value is never shown again."""
    from octelium.cli.payload import fill_secret
    from octelium.schema.kinds import KINDS

    message = named(KINDS["Secret"], name)
    message.spec.SetInParent()
    fill_secret(message, value, file, secret_type, cert, cert_key)
    make(invocation, message, None)


@verb(example="octeliumctl create config app -f app.json")
@click.argument("name")
@click.option("--value", metavar="TEXT", help="The value itself.")
@click.option("-f", "--file", metavar="PATH", type=FILE, help="A file with the value; `-`: stdin.")
def config(invocation: Invocation, name: str, value: str | None, file: str | None) -> None:
    """Create a Config."""
    from octelium.cli.payload import read_value
    from octelium.schema.kinds import KINDS

    message = named(KINDS["Config"], name)
    message.spec.SetInParent()
    message.data.value_bytes = read_value(value, file, "Value")
    make(invocation, message, None)


def named(kind: Any, name: str) -> Any:
    """An empty resource of a kind with a name."""
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


for _command in (namespace, group, user, service, secret, config, credential):
    create.add_command(_command)
