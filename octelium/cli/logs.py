"""`octeliumctl logs`: who accessed what, who signed in, and why it was allowed or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from octelium.cli.formats import json_line, output_option
from octelium.cli.inert import inert_lines
from octelium.cli.invocation import Invocation
from octelium.cli.lengths import Instant
from octelium.cli.verb import VerbGroup, verb
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from octelium.client.accesslog import Entry
    from octelium.schema.pb import ext_v1_pb2 as ext


_WAYS: Final = (
    "account",
    "assertion",
    "authentication token",
    "authenticator",
    "browser approval",
    "client secret",
    "device code",
    "identity provider",
    "invitation",
    "passkey",
    "refresh token",
)
"""By what people and workloads sign in, as the authentication log calls it."""


class StatusRange(click.ParamType[tuple[int, int]]):
    """HTTP statuses: `403`, `5xx`, `400-499`."""

    name = "status"

    def get_metavar(
        self,
        param: click.Parameter,  # noqa: ARG002
        ctx: click.Context,  # noqa: ARG002
    ) -> str:
        """How to call it in the help."""
        return "STATUS|Nxx|FROM-TO"

    def convert(
        self,
        value: str | tuple[int, int],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int]:
        """Check statuses that a command line gives."""
        if isinstance(value, tuple):
            return value
        low, dash, high = value.lower().partition("-")
        if not dash:
            low, high = low.replace("xx", "00"), low.replace("xx", "99")
        if not (low.isascii() and high.isascii() and low.isdigit() and high.isdigit()):
            self.fail(f"{value!r} is not of the form 403, 5xx or 400-499", param, ctx)
        bounds = int(low), int(high)
        if not 100 <= bounds[0] <= bounds[1] <= 599:
            self.fail(f"{value!r}: HTTP statuses go from 100 to 599", param, ctx)
        return bounds


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    example="""
    octeliumctl logs --decision denied --since 1h
    octeliumctl logs --service wiki --user alice --status 5xx -f
    octeliumctl logs --no-system --tail 20
    octeliumctl logs -o json | jq .entry.common.reason
    octeliumctl logs --id 9f3k-x01z-24-0000-0a7c
    octeliumctl logs auth --outcome refused --since 1d
    """,
)
@click.option(
    "--service", metavar="NAME", type=resource_name("service"), help="Requests to this Service."
)
@click.option("--user", metavar="NAME", type=resource_name("user"), help="Requests of this User.")
@click.option(
    "--session",
    metavar="NAME",
    type=resource_name("session"),
    help="Requests of this Session (name or uid).",
)
@click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    type=resource_name("namespace"),
    help="Requests to Services of this Namespace.",
)
@click.option("--status", type=StatusRange(), help="What the client was answered.")
@click.option(
    "--decision",
    type=click.Choice(["allowed", "denied"], case_sensitive=False),
    help="Whether it was let through.",
)
@click.option("--reason", metavar="REASON", help="Such as NO_POLICY_MATCH, in any case.")
@click.option("--path", "path_prefix", metavar="PREFIX", help="Paths that begin so.")
@click.option("--since", type=Instant(), help="Not before; such as 15m or 2026-01-31T12:00.")
@click.option("--until", type=Instant(), help="Not after.")
@click.option("--id", "entry_id", metavar="ID", help="One entry, explained.")
@click.option(
    "--tail",
    "limit",
    type=click.IntRange(1),
    metavar="N",
    help="The last N [default: 100; 10000 with --since].",
)
@click.option("--no-system", is_flag=True, help="Leave out the Cluster's own Services.")
@click.option("-f", "--follow", is_flag=True, help="Go on as requests come in, until Ctrl-C.")
@output_option("table", "wide", "json", default="table")
@click.pass_context
def logs(ctx: click.Context, /, **options: Any) -> None:
    """Show the access log: who accessed what, and why it was allowed or refused.

    Oldest first. With -o wide each line begins with the id of its entry, with -o json it is one
    entry in the official AccessLog form. The id of a refusal is in the response's
    X-Octelium-Request-Id.
    """
    if ctx.invoked_subcommand is not None:
        given = click.core.ParameterSource.COMMANDLINE
        if any(ctx.get_parameter_source(name) is given for name in options):
            raise click.UsageError(f"Give options after {ctx.invoked_subcommand}.")
        return
    _show_accesses(ctx.ensure_object(Invocation), **options)


def _show_accesses(
    invocation: Invocation,
    *,
    service: str | None,
    user: str | None,
    session: str | None,
    namespace: str | None,
    status: tuple[int, int] | None,
    decision: str | None,
    reason: str | None,
    path_prefix: str | None,
    since: datetime | None,
    until: datetime | None,
    entry_id: str | None,
    limit: int | None,
    no_system: bool,
    follow: bool,
    output: str,
) -> None:
    from octelium.cli.loglines import JsonLines, TextLines
    from octelium.client.accesslog import everything, follow_entries, last_entries
    from octelium.schema.pb import ext_v1_pb2 as ext

    if follow and (until is not None or entry_id is not None):
        raise click.UsageError("-f goes on without end; leave out --until and --id.")
    low, high = status or (0, 0)
    request = ext.ListAccessLogRequest(
        service=service or "",
        user=user or "",
        session=session or "",
        namespace=namespace or "",
        decision=(decision or "").lower(),
        reason=_reason(reason),
        http_status_min=low,
        http_status_max=high,
        path_prefix=path_prefix or "",
        id=entry_id or "",
    )
    _bound(request, "from", since)
    _bound(request, "to", until)
    lines: JsonLines | TextLines = JsonLines(json_line)
    if output != "json":
        lines = TextLines(invocation.terminal, ids=output == "wide")
    client = invocation.client
    count = limit or (10_000 if since is not None else 100)
    keep = _not_of(_system_services(invocation)) if no_system else everything
    entries = last_entries(client.api.ext, request, count, keep)
    if not entries:
        if service:
            _require_service(invocation, service)
        if not follow:
            invocation.terminal.note("There are no such entries.")
            return
    for text in lines.first(entries):
        invocation.terminal.show(text)
    if entry_id is not None and output != "json":
        for entry in entries:
            if entry.explanation:
                invocation.terminal.show("\n" + inert_lines(entry.explanation.rstrip("\n")))
    if follow:
        for entry in follow_entries(
            client.api.ext,
            request,
            entries,
            now=invocation.now,
            sleep=invocation.sleep,
            warn=invocation.terminal.warn,
            note=invocation.terminal.note,
            keep=keep,
        ):
            invocation.terminal.show(lines.next(entry))


@verb(
    "auth",
    example="""
    octeliumctl logs auth --outcome refused --since 1d
    octeliumctl logs auth --user alice -f
    octeliumctl logs auth --provider okta -o json | jq .reason
    """,
)
@click.option(
    "--user",
    metavar="NAME",
    type=resource_name("user"),
    help="Attempts that are about this User (name or uid).",
)
@click.option(
    "--provider",
    metavar="NAME",
    type=resource_name("identityprovider"),
    help="By this IdentityProvider.",
)
@click.option(
    "--credential", metavar="NAME", type=resource_name("credential"), help="By this Credential."
)
@click.option(
    "--session",
    metavar="NAME",
    type=resource_name("session"),
    help="That began or renewed this Session.",
)
@click.option(
    "--outcome",
    type=click.Choice(["succeeded", "refused", "failed"], case_sensitive=False),
    help="What it came to; failed: the Cluster could not do it.",
)
@click.option("--way", metavar="WAY", help=f"By what: {', '.join(_WAYS)}.")
@click.option("--address", metavar="IP", help="From this address.")
@click.option("--since", type=Instant(), help="Not before; such as 15m or 2026-01-31T12:00.")
@click.option("--until", type=Instant(), help="Not after.")
@click.option("--id", "entry_id", metavar="ID", help="One entry.")
@click.option(
    "--tail",
    "limit",
    type=click.IntRange(1),
    metavar="N",
    help="The last N [default: 100; 10000 with --since].",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as attempts are made, until Ctrl-C.")
@output_option("table", "json", default="table")
def auth(
    invocation: Invocation,
    user: str | None,
    provider: str | None,
    credential: str | None,
    session: str | None,
    outcome: str | None,
    way: str | None,
    address: str | None,
    since: datetime | None,
    until: datetime | None,
    entry_id: str | None,
    limit: int | None,
    follow: bool,
    output: str,
) -> None:
    """Show who signed in, or failed to and why.

    This is the authentication log, oldest first. In an attempt that did not succeed, nothing that
    it says about who it was is proved.
    """
    from octelium.cli.authlines import AttemptLines
    from octelium.client.authlog import follow_attempts, last_attempts
    from octelium.schema.jsonform import to_json
    from octelium.schema.pb import ext_v1_pb2 as ext

    if follow and (until is not None or entry_id is not None):
        raise click.UsageError("-f goes on without end; leave out --until and --id.")
    chosen = (way or "").lower().replace("-", " ").replace("_", " ")
    if chosen and chosen not in _WAYS:
        raise click.UsageError(f"--way {way}: there is no such way; there are {', '.join(_WAYS)}.")
    request = ext.ListAuthenticationLogRequest(
        user=user or "",
        identity_provider=provider or "",
        credential=credential or "",
        session=session or "",
        outcome=(outcome or "").lower(),
        way=chosen,
        client_address=address or "",
        id=entry_id or "",
    )
    _bound(request, "from", since)
    _bound(request, "to", until)
    service, terminal = invocation.client.api.ext, invocation.terminal
    count = limit or (10_000 if since is not None else 100)
    entries = last_attempts(service, request, count)
    lines = AttemptLines(terminal)
    as_json = output == "json"
    if not entries and not follow:
        terminal.note("There are no such entries.")
        return
    texts = [json_line(to_json(entry)) for entry in entries] if as_json else lines.first(entries)
    for text in texts:
        terminal.show(text)
    if not follow:
        return
    for entry in follow_attempts(
        service,
        request,
        entries[-1].id if entries else "",
        now=invocation.now,
        sleep=invocation.sleep,
        warn=terminal.warn,
        note=terminal.note,
    ):
        terminal.show(json_line(to_json(entry)) if as_json else lines.next(entry))


logs.add_command(auth)


def _system_services(invocation: Invocation) -> frozenset[str]:
    from octelium.schema.kinds import KINDS

    services = invocation.client.resources.list_all(KINDS["Service"])
    return frozenset(item.metadata.name for item in services if item.metadata.is_system)


def _not_of(names: frozenset[str]) -> Callable[[Entry], bool]:
    return lambda entry: entry.log.entry.common.service_ref.name not in names


def _require_service(invocation: Invocation, name: str) -> None:
    """Refuse the name of a Service that does not exist, if the caller may look. Raises ApiError."""
    from octelium.client.errors import ApiError
    from octelium.schema.kinds import KINDS

    try:
        invocation.client.resources.get(KINDS["Service"], name)
    except ApiError as error:
        if error.code != "PERMISSION_DENIED":
            raise


def _reason(word: str | None) -> str:
    from octelium.schema.errors import Invalid
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.schema.suggestion import did_you_mean

    if word is None:
        return ""
    chosen = word.upper().replace("-", "_")
    known = list(core.AccessLogEntryCommonReasonType__.AccessLogEntryCommonReasonType.keys())
    if chosen not in known:
        remedy = did_you_mean(chosen, known, otherwise=f"known: {', '.join(known)}")
        raise Invalid("--reason", f"there is no reason {word!r}", remedy)
    return chosen


def _bound(
    request: ext.ListAccessLogRequest | ext.ListAuthenticationLogRequest,
    field: str,
    moment: datetime | None,
) -> None:
    if moment is not None:
        timestamp: Any = getattr(request, field)
        timestamp.FromDatetime(moment)
