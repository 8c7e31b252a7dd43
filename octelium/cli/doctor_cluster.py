"""`octeliumctl doctor`: what works in a Cluster, and what does not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, cast

import click

from octelium.cli.formats import output_option
from octelium.cli.verb import verb
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.doctor.checks import Examination, Outcome
    from octelium.schema.pb import ext_v1_pb2 as ext

_DEADLINE: Final = 60.0
_OFF: Final = 60.0
_OUTCOMES: Final = frozenset({"ok", "warn", "fail", "skipped"})


@verb(
    example="""
    {program} doctor
    {program} doctor wiki
    {program} doctor -o json
    """
)
@click.argument("service", required=False, default="", type=resource_name("Service"))
@output_option("text", "json", default="text")
def doctor(invocation: Invocation, service: str, output: str) -> int:
    """Find out what is broken in the Cluster, or behind one of its SERVICEs.

    The Cluster asks its own processes, and its workers ask the upstreams that Services declare and
    the resolvers of its DNS; certificates, store, disk and clock are looked at. Needs the right to
    the API's method `octelium.ext.v1` Diagnose, and to list Services. Ends with 1 if something is
    broken. On a host that cannot reach the Cluster: octelium doctor.
    """
    from octelium.cli.doctor_report import show
    from octelium.client.client import is_foreign
    from octelium.client.doctor.checks import Examination
    from octelium.client.errors import ApiError
    from octelium.schema.pb import ext_v1_pb2 as ext

    request = ext.DiagnoseRequest(service=service)
    before = dt.datetime.fromtimestamp(invocation.now(), dt.UTC)
    try:
        reply = invocation.client.api.ext.call("Diagnose", request, deadline=_DEADLINE)
    except ApiError as error:
        if is_foreign(error):
            problem = "this Cluster is another implementation, and has no doctor"
            raise ApiError(error.code, problem, error.method, "octelium doctor") from error
        raise
    found = Examination()
    _compare(found, reply, before, dt.datetime.fromtimestamp(invocation.now(), dt.UTC))
    for part in reply.parts:
        _take(found, part)
    return show(invocation.terminal, found, output)


def _compare(
    found: Examination, reply: ext.DiagnoseResponse, before: dt.datetime, after: dt.datetime
) -> None:
    """The Cluster's clock beside ours, which read `before` and `after` its answer."""
    told = reply.now.ToDatetime(dt.UTC)
    off = max((before - told).total_seconds(), (told - after).total_seconds(), 0.0)
    name = "clock here"
    if off > _OFF:
        detail = f"it differs from the Cluster's by {off:.0f} s"
        found.warn(name, detail, "set the one right that is wrong: run a time service")
    else:
        found.ok(name, "it agrees with the Cluster's")


def _take(found: Examination, part: Any) -> None:
    from octelium.client.doctor.checks import Check

    outcome = part.outcome if part.outcome in _OUTCOMES else "skipped"
    found.checks.append(Check(part.name, cast("Outcome", outcome), part.detail, part.remedy))
