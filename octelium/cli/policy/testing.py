"""`octeliumctl policy test`: do Policies decide as their tests say?"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from octelium.cli import exits
from octelium.cli.failure import Failed, report
from octelium.cli.formats import json_text, output_option, yaml_text
from octelium.cli.policy.runner import run_cases
from octelium.cli.policy.suite_reader import read_suite
from octelium.cli.sources import (
    TEST_SUFFIXES,
    UnreadableError,
    is_resource_file,
    is_test_file,
    leads_out,
    outside,
    read_documents,
    read_text,
)
from octelium.cli.verb import verb
from octelium.cli.warned import tell_all
from octelium.cli.words import FILE
from octelium.schema.errors import InvalidDocuments
from octelium.schema.unseen import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octelium.cli.invocation import Invocation
    from octelium.cli.policy.coverage import Coverage
    from octelium.cli.policy.runner import CaseResult
    from octelium.cli.policy.suite import Suite
    from octelium.cli.policy.world import World
    from octelium.cli.terminal import Terminal

_KIND = re.compile(r"""(?:^[\s-]*|[{,]\s*)["']?kind["']?\s*:""", re.MULTILINE)
"""A key `kind`, in any style of YAML and in JSON."""


@verb(
    "test",
    example="""
    octeliumctl policy test cluster/
    octeliumctl policy test wiki.test.yaml --coverage
    octeliumctl policy test cluster/ --junit results.xml --min-coverage 80
    octeliumctl policy test cluster/ --live
    """,
)
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True, type=FILE)
@click.option("--live", is_flag=True, help="Ask the Cluster, not the files of resources.")
@click.option("-k", "--filter", "word", metavar="TEXT", help="Only cases with TEXT in the name.")
@click.option("--coverage", "wants_coverage", is_flag=True, help="List rules that were not true.")
@click.option(
    "--min-coverage",
    "least",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail if fewer of the rules were true in any case.",
)
@click.option(
    "--junit", "junit_file", metavar="FILE", type=FILE, help="Write the results as JUnit XML too."
)
@click.option("-v", "--verbose", is_flag=True, help="Show also what passed, and every step.")
@output_option("table", "json", "yaml", default="table")
def test(
    invocation: Invocation,
    paths: tuple[str, ...],
    live: bool,
    word: str | None,
    wants_coverage: bool,
    least: float | None,
    junit_file: str | None,
    verbose: bool,
    output: str,
) -> int:
    """Run the cases of files *.test.yaml: who asks for what, and what the decision must be.

    Decisions are made on the files of resources beside the tests (or those that `files:` names)
    and on nothing else, no Cluster is needed; Secrets that the files lack are taken to be there.
    With --live the Cluster is asked, by the rights of this login; nothing is changed there.

    \b
    A file of tests:
      cases:
        - name: readers may read
          who: [ann, {credential: robot-key}, {user: bob, aal: AAL2}]
          service: wiki
          request: [GET /, {method: HEAD, path: /, headers: {x-team: ops}}]
          expect: allow
          rule: read-only

    \b
    who      a User, `anonymous`, or an object: user or credential; type,
             aal, isBrowser, scopes; session, device (in JSON form)
    request  METHOD PATH, or an object: method, path, headers, query,
             host, body; grpc, kubernetes, ssh and so on as in ctx.request
    expect   allow, deny, unauthenticated, bad-request or error
    rule     the rule that must decide, by its name or its place
    config   the configuration that must be selected
    at       when it is requested; now by default

    Where who, service or request is a list, each combination is a case. files, service and at may
    stand beside `cases` for all of them.

    Exit code 0: all passed; 1: some did not, or the coverage is too small; 2: the files make no
    sense.
    """  # noqa: D301 - click's mark for lines that stay as they are is a backspace
    from octelium.cli.policy.coverage import measure, merge
    from octelium.cli.policy.junit import junit
    from octelium.cli.policy.report import describe, plain_report, show_report

    try:
        suites = [(_read(file), folder) for file, folder in _test_files(paths)]
        by_files = _by_files(suites, _Strangers(invocation.terminal), live=live)
        groups = [(own, _world(invocation, files)) for files, own in by_files]
    except (InvalidDocuments, UnreadableError) as error:
        report(error, invocation.terminal)
        raise Failed(exits.USAGE) from error
    results: list[CaseResult] = []
    measured: list[Coverage] = []
    for own, world in groups:
        found = _run(invocation, own, world, word)
        results += found
        measured.append(measure(found, None if world is None else world.documents))
    if not results:
        raise click.UsageError(f"No case has {word!r} in its name.")
    coverage = merge(measured)
    if junit_file:
        _write(junit_file, junit(results, describe))
    if output == "table":
        show_report(invocation.terminal, results, coverage, verbose=verbose, rules=wants_coverage)
    else:
        form = plain_report(results, coverage)
        invocation.terminal.show(json_text(form) if output == "json" else yaml_text(form))
    if least is not None and coverage.percent < least:
        invocation.terminal.fail(
            f"{coverage.percent:.0f} % of the rules were true in some case, fewer than {least:g} %",
            "" if wants_coverage else "--coverage lists the others",
        )
        return exits.FAILED
    return exits.OK if all(result.ok for result in results) else exits.FAILED


def _test_files(paths: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Files of tests, each with the directory that it and its resources may not lead out of."""
    for path in paths:
        if not Path(path).is_dir():
            yield path, Path(path).parent
            continue
        found = sorted(file for file in Path(path).rglob("*") if is_test_file(file))
        if not found:
            raise UnreadableError(
                f"there are no tests in {path}", f"they end in {', '.join(TEST_SUFFIXES)}"
            )
        for file in found:
            if leads_out(file, path):
                raise InvalidDocuments([outside(file, path)])
            yield str(file), Path(path)


def _read(file: str) -> Suite:
    source, text = read_text(file)
    return read_suite(text, source)


class _Strangers:
    """Files beside tests that look like those of resources and hold none."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: set[str] = set()

    def without(self, files: Iterable[str]) -> tuple[str, ...]:
        """The other files; a warning tells of each stranger."""
        found = []
        for file in files:
            if not _is_stranger(file):
                found.append(file)
            elif file not in self._told:
                self._told.add(file)
                self._terminal.warn(f"{one_line(file)} holds no resource: passed over")
        return tuple(found)


def _is_stranger(file: str) -> bool:
    """Whether a file says nowhere what kind its contents have, though it has some."""
    try:
        _, text = read_text(file)
    except UnreadableError:
        return False  # it may be one: who reads it says so
    return bool(text.strip()) and _KIND.search(text) is None


def _by_files(
    suites: Sequence[tuple[Suite, Path]], strangers: _Strangers, *, live: bool
) -> Iterator[tuple[tuple[str, ...] | None, list[Suite]]]:
    """Suites of the same files of resources together; None stands for the Cluster."""
    groups: dict[tuple[str, ...] | None, list[Suite]] = {}
    for suite, folder in suites:
        files = None if live else _resource_files(suite, folder, strangers)
        groups.setdefault(files, []).append(suite)
    yield from groups.items()


def _resource_files(suite: Suite, folder: Path, strangers: _Strangers) -> tuple[str, ...]:
    """The files of resources that a suite is about.

    Those that it names may also lie elsewhere in the working directory. Raises UnreadableError,
    InvalidDocuments.
    """
    beside = Path(suite.source).parent
    if suite.files is not None:
        named = tuple(str(beside / name) for name in suite.files)
        for file in named:
            if leads_out(file, folder) and leads_out(file, Path.cwd()):
                raise UnreadableError(
                    f"{suite.source}: files: {file} is outside of {folder}",
                    "name files in that directory, or in the one where this runs",
                )
        return named
    found = tuple(str(file) for file in sorted(beside.iterdir()) if is_resource_file(file))
    foreign = [outside(file, folder) for file in found if leads_out(file, folder)]
    if foreign:
        raise InvalidDocuments(foreign)
    found = strangers.without(found)
    if not found:
        raise UnreadableError(
            f"there are no files of resources beside {suite.source}",
            "name them: files: [FILE, ...]",
        )
    return found


def _world(invocation: Invocation, files: tuple[str, ...] | None) -> World | None:
    """What the files declare; tells what is likely wrong with it. None for the Cluster."""
    if files is None:
        return None
    from octelium.cli.linting import lint
    from octelium.cli.policy.world import World

    documents = read_documents(files)
    world = World(documents, invocation.now())
    tell_all(invocation.terminal, lint(documents), documents)
    return world


def _run(
    invocation: Invocation, suites: Sequence[Suite], world: World | None, word: str | None
) -> list[CaseResult]:
    cases = [case for suite in suites for case in suite.cases if word is None or word in case.name]
    if world is None:
        from octelium.cli.policy.live import Live

        return list(run_cases(cases, Live(invocation.client), time.monotonic))
    from octelium.cli.policy.offline import Offline

    return list(run_cases(cases, Offline(world, invocation.now()), time.monotonic))


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnreadableError(f"cannot write {file}: {error.strerror}") from error
