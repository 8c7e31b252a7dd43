"""`octeliumctl policy explain`: why a request is decided as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.formats import json_text, output_option, yaml_text
from octelium.cli.lengths import Instant
from octelium.cli.verb import verb
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from octelium.cli.invocation import Invocation

Pairs = tuple[tuple[str, str], ...]


def _pairs(mark: str, form: str) -> Callable[..., Pairs]:
    """Check options of the form KEY, `mark`, VALUE."""

    def check(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Pairs:
        pairs = []
        for value in values:
            key, found, text = value.partition(mark)
            if not found or not key.strip():
                raise click.BadParameter(f"{value!r} is not of the form {form}")
            pairs.append((key.strip(), text.strip() if mark == ":" else text))
        return tuple(pairs)

    return check


@verb(
    example="""
    octeliumctl policy explain --user ann --service wiki --path /admin
    octeliumctl policy explain --user ann --service wiki --session-field status.isBrowser=true
    octeliumctl policy explain --session ann-x7k2mq --service api.prod --at 2026-01-31T22:00
    octeliumctl policy explain --log brmw-enhj-24-0000-000l
    """
)
@click.option("--log", "log_id", metavar="ID", help="A request in the access log.")
@click.option("--session", metavar="NAME", type=resource_name("session"), help="Of this Session.")
@click.option(
    "--user", metavar="NAME", type=resource_name("user"), help="Of a new Session of this User."
)
@click.option("--service", metavar="NAME", type=resource_name("service"), help="To this Service.")
@click.option("--method", metavar="METHOD", help="The method of HTTP [default: GET].")
@click.option(
    "--path", "target", metavar="PATH", help="The path, perhaps with ?QUERY [default: /]."
)
@click.option(
    "--header",
    "headers",
    metavar="NAME:VALUE",
    multiple=True,
    callback=_pairs(":", "NAME:VALUE"),
    help="A header; repeatable.",
)
@click.option(
    "--query",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs("=", "NAME=VALUE"),
    help="A query parameter; repeatable.",
)
@click.option("--host", metavar="HOST", help="The value of the header Host.")
@click.option(
    "--json-request",
    "request_file",
    metavar="FILE|-",
    help="Any request: an object (JSON, YAML) as in `request:` of `policy test`.",
)
@click.option(
    "--session-field",
    "session_fields",
    metavar="PATH=VALUE",
    multiple=True,
    callback=_pairs("=", "PATH=VALUE"),
    help="Suppose this of the Session; repeatable.",
)
@click.option(
    "--device-field",
    "device_fields",
    metavar="PATH=VALUE",
    multiple=True,
    callback=_pairs("=", "PATH=VALUE"),
    help="Suppose this of its Device; repeatable.",
)
@click.option("--at", "moment", type=Instant(), help="When [default: now].")
@click.option(
    "--change/--no-change",
    "find_change",
    default=True,
    help="Whether to look for what would turn the decision round [default: yes].",
)
@output_option("table", "json", "yaml", default="table")
def explain(
    invocation: Invocation,
    log_id: str | None,
    session: str | None,
    user: str | None,
    service: str | None,
    method: str | None,
    target: str | None,
    headers: Pairs,
    query: Pairs,
    host: str | None,
    request_file: str | None,
    session_fields: Pairs,
    device_fields: Pairs,
    moment: datetime | None,
    find_change: bool,
    output: str,
) -> None:
    """Show why a request is, or would be, decided as it is.

    The request is one of the access log (--log; `octeliumctl logs -o wide` shows ids), or one that
    is only thought of: of a Session, of a new Session of a User, or of nobody, to a Service. Shown
    are the checks, the Policies, every rule in the order tried with what the parts of its
    condition came to, and a change that would turn the decision round.

    Nothing is requested and nothing changes. What you may not read is left out.
    """
    from octelium.cli.policy.live import Live
    from octelium.cli.policy.narrated import show_explanation
    from octelium.client import insight
    from octelium.schema.jsonform import to_json
    from octelium.schema.names import full_service_name
    from octelium.schema.pb import ext_v1_pb2 as ext

    short = {
        "method": method,
        "path": target,
        "headers": _several(headers),
        "query": _several(query),
        "host": host,
    }
    request = _request({key: value for key, value in short.items() if value}, request_file)
    _check(
        log_id, session, user, service, supposed=bool(request or session_fields or device_fields)
    )
    question = ext.ExplainRequest(
        log_id=log_id or "", session=session or "", user=user or "", find_change=find_change
    )
    if service:
        question.service = full_service_name(service)
        fitting = Live(invocation.client).fitting(service, request)
        if fitting is not None:
            question.request.update(fitting)
    if session_fields:
        question.session_fields.update(_fields(session_fields))
    if device_fields:
        question.device_fields.update(_fields(device_fields))
    if moment is not None:
        question.at.FromDatetime(moment)
    explanation = insight.explain(invocation.client.api.ext, question)
    if output == "table":
        show_explanation(invocation.terminal, explanation)
        return
    form = to_json(explanation)
    invocation.terminal.show(json_text(form) if output == "json" else yaml_text(form))


def _check(
    log_id: str | None,
    session: str | None,
    user: str | None,
    service: str | None,
    *,
    supposed: bool,
) -> None:
    """Refuse command lines that ask for nothing, or for several things."""
    if sum(map(bool, (log_id, session, user))) > 1:
        raise click.UsageError("Give one of --log, --session and --user.")
    if log_id:
        if service or supposed:
            raise click.UsageError("The log says what was requested; give --log alone.")
    elif not service:
        raise click.UsageError("Name a Service with --service, or a request with --log.")


def _request(short: Mapping[str, Any], file: str | None) -> dict[str, Any] | None:
    """`ctx.request` of the options, None without any. Raises Invalid, InvalidDocuments."""
    from octelium.cli.policy.data import read_object
    from octelium.cli.policy.requests import read_request
    from octelium.schema.errors import Invalid, render_path

    value = {**(read_object(file) if file else {}), **short}
    if not value:
        return None
    request, problems = read_request(value)
    if problems:
        [(steps, problem, remedy), *_] = problems
        place = render_path(steps)
        raise Invalid(f"{file}: {place}" if file else f"--{place}", problem, remedy)
    return request


def _several(pairs: Pairs) -> dict[str, str | list[str]]:
    """Values by name; a list of those that are given several times."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _fields(pairs: Pairs) -> dict[str, Any]:
    """Fields in JSON form, from paths with dots and values as YAML or JSON writes them."""
    from octelium.cli.policy.suite_reader import merged
    from octelium.schema.yaml_reader import resolve

    fields: dict[str, Any] = {}
    for path, text in pairs:
        value: Any = resolve(text)
        if text[:1] in ("[", "{", '"'):
            try:
                value = json.loads(text)
            except ValueError as error:
                raise click.UsageError(f"{path}: {text!r} is no JSON: {error}") from None
        for key in reversed(path.split(".")):
            value = {key: value}
        fields = merged(fields, value)
    return fields
