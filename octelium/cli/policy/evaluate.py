"""`octeliumctl policy eval`: CEL expressions without any Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from octelium.cli import exits
from octelium.cli.failure import Failed
from octelium.cli.formats import json_text, output_option, yaml_text
from octelium.cli.inert import inert
from octelium.cli.lengths import Instant
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from octelium.cli.invocation import Invocation
    from octelium.cli.policy.cases import CelResult


@verb(
    "eval",
    example="""
    octeliumctl policy eval 'ctx.user.spec.groups.exists(g, g == "ops")' --ctx ctx.json
    octeliumctl policy eval --condition 'ctx.device.spec.state == "ACTIVE"' --ctx -
    octeliumctl policy eval 'attrs.limit + 1.0' --attrs attrs.yaml -o cel
    octeliumctl policy eval --cases conformance/strings.json -o json
    """,
    connects=False,
)
@click.argument("words", metavar="[EXPR]", nargs=-1)
@click.option("--ctx", "ctx_file", metavar="FILE|-", help="What `ctx` is: an object (JSON, YAML).")
@click.option("--attrs", "attrs_file", metavar="FILE|-", help="What `attrs` is.")
@click.option("--now", "moment", type=Instant(), help="What `now()` is [default: the clock].")
@click.option(
    "--condition", is_flag=True, help="As a Policy does: missing data is false, no other type."
)
@click.option(
    "--cases", "case_files", metavar="FILE...", multiple=True, help="Run conformance cases."
)
@output_option("json", "yaml", "cel", "table")
def evaluate(
    invocation: Invocation,
    words: tuple[str, ...],
    ctx_file: str | None,
    attrs_file: str | None,
    moment: datetime | None,
    condition: bool,
    case_files: tuple[str, ...],
    output: str | None,
) -> int:
    """Evaluate the CEL expression EXPR and show its value as JSON.

    Numbers in --ctx and --attrs are doubles, as Policies see them. -o cel shows the value in CEL's
    notation, where 1, 1u and 1.0 are three types. Exit code 1: no value, and stderr says why.

    --cases runs files of cases in the form of the CEL specification's conformance tests. Exit code
    1: a case came out wrong, cases left aside that need what Octelium's CEL does not have.
    """
    if case_files:
        if ctx_file or attrs_file or moment or condition:
            raise click.UsageError("Cases bring their own data; give --cases alone.")
        return _run_cases(invocation, (*case_files, *words), output or "table")
    if len(words) != 1:
        raise click.UsageError("Give one expression, in quotes, or --cases FILE.")
    if ctx_file == attrs_file == "-":
        raise click.UsageError("Only one of --ctx and --attrs can be `-`.")
    value = _evaluate(invocation, words[0], ctx_file, attrs_file, moment, condition=condition)
    invocation.terminal.show(_shown(value, output or "json"))
    return exits.OK


def _evaluate(
    invocation: Invocation,
    text: str,
    ctx_file: str | None,
    attrs_file: str | None,
    moment: datetime | None,
    *,
    condition: bool,
) -> object:
    from octelium.cli.policy.data import read_object
    from octelium.policy.cel.errors import CompileError, EvaluationError, MissingDataError
    from octelium.policy.cel.program import compile_program, new_frame
    from octelium.policy.cel.values import normalized

    ctx: Any = normalized(read_object(ctx_file)) if ctx_file else {}
    # Rules without attrs see an empty object.
    attrs = normalized(read_object(attrs_file)) if attrs_file else {}
    now = invocation.now() if moment is None else moment.timestamp()
    try:
        program = compile_program(text)
        frame = new_frame(ctx, attrs, now=now)
        return program.test(frame) if condition else program.evaluate(frame)
    except MissingDataError as error:
        remedy = "in a Policy this makes the expression false; --condition does so too"
        invocation.terminal.fail(str(error), remedy)
    except (CompileError, EvaluationError) as error:
        invocation.terminal.fail(str(error))
    raise Failed


def _shown(value: object, output: str) -> str:
    from octelium.cli.policy.notation import json_form
    from octelium.policy.cel.unparse import literal

    if output in ("cel", "table"):
        return inert(literal(value))
    form = json_form(value)
    return json_text(form) if output == "json" else yaml_text(form).removesuffix("...\n")


def _run_cases(invocation: Invocation, files: Sequence[str], output: str) -> int:
    from octelium.cli.policy.cases import read_cases, run_case
    from octelium.cli.sources import read_text
    from octelium.schema.errors import Invalid

    if output == "cel":
        raise click.UsageError("-o cel shows one value; cases need json, yaml or table.")
    cases = []
    for file in files:
        source, text = read_text(file)
        try:
            cases += read_cases(text)
        except Invalid as error:
            raise Invalid(
                f"{source}: {error.path}".removesuffix(": "), error.problem, error.remedy
            ) from error
    results = [run_case(case) for case in cases]
    if output == "table":
        _show_results(invocation, results)
    else:
        form = {"results": [_plain(result) for result in results]}
        invocation.terminal.show(json_text(form) if output == "json" else yaml_text(form))
    failed = any(not result.ok and not result.excluded for result in results)
    return exits.FAILED if failed else exits.OK


def _plain(result: CelResult) -> dict[str, Any]:
    form: dict[str, Any] = {
        "section": result.section,
        "name": result.name,
        "ok": result.ok,
        "got": result.got,
    }
    if result.excluded:
        form["excluded"] = result.excluded
    return form


def _show_results(invocation: Invocation, results: Sequence[CelResult]) -> None:
    terminal = invocation.terminal
    for result in results:
        if result.ok:
            continue
        word = terminal.style("not offered", "yellow") if result.excluded else ""
        place = inert(f"{result.section} / {result.name}")
        terminal.show(f"{word or terminal.style('FAILED', 'red')}  {place}")
        terminal.show(f"    {inert(result.got)}")
    passed = sum(result.ok for result in results)
    excluded = sum(bool(result.excluded) for result in results)
    rest = len(results) - passed - excluded
    terminal.show(f"{len(results)} cases: {passed} passed, {rest} failed, {excluded} not offered")
