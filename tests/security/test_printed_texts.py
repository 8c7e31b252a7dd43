"""Whatever a Cluster tells, the command lines write no character that a terminal obeys.

Every text of every message is hostile at once; what is written as JSON says exactly the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.cli import doctor_report, status
from octelium.cli.authlines import AttemptLines
from octelium.cli.describe import description
from octelium.cli.diff import difference
from octelium.cli.failure import report
from octelium.cli.formats import json_line, json_text, yaml_text
from octelium.cli.inert import inert
from octelium.cli.invocation import Invocation
from octelium.cli.loglines import JsonLines, TextLines
from octelium.cli.policy.accesses import show_accesses
from octelium.cli.policy.narrated import show_explanation
from octelium.cli.policy.preview import preview_lines, show_preview
from octelium.cli.resources import show_list, show_one, show_table
from octelium.cli.terminal import Terminal
from octelium.cli.warned import tell_all
from octelium.cli.watched import _lines as watched_lines
from octelium.client.accesslog import Entry
from octelium.client.doctor.checks import Examination
from octelium.client.errors import ApiError
from octelium.client.storage import MemoryStorage
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.schema.jsonform import to_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user
from octelium.schema.unseen import has_unseen
from tests.tui.hostile import HOSTILE

if TYPE_CHECKING:
    from random import Random

TEXTS = [text[:400] for text in HOSTILE if "\ud800" not in text]
"""Those that a message of the API can hold."""
PLAIN = Terminal({"NO_COLOR": "1"})
RANDOM = st.randoms(use_true_random=False)
_DEEPEST = 6
_NOW = 1_800_000_000.0
QUICKLY = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def filled(message: Any, random: Random, depth: int = 0) -> Any:
    """The message with a hostile text wherever there may be one."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and random.random() < 0.5:
            continue
        if field.message_type is not None:
            if depth == _DEEPEST or field.message_type.full_name.startswith("google.protobuf."):
                continue
            if field.message_type.GetOptions().map_entry:
                if field.message_type.fields_by_name["value"].type == field.TYPE_STRING:
                    getattr(message, field.name)[random.choice(TEXTS)] = random.choice(TEXTS)
                continue
            if field.is_repeated:
                filled(getattr(message, field.name).add(), random, depth + 1)
            else:
                filled(getattr(message, field.name), random, depth + 1)
                getattr(message, field.name).SetInParent()
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                getattr(message, field.name).append(random.choice(TEXTS))
            else:
                setattr(message, field.name, random.choice(TEXTS))
        elif field.type == field.TYPE_ENUM and not field.is_repeated:
            numbers = [value.number for value in field.enum_type.values]
            setattr(message, field.name, random.choice(numbers))
    return message


@pytest.fixture
def invocation() -> Invocation:
    environ = {"OCTELIUM_DOMAIN": "lab.test", "OCTELIUM_HOME": "mem", "NO_COLOR": "1"}
    return Invocation(environ, storage=MemoryStorage(), clock=lambda: _NOW)


def require_inert(capsys: pytest.CaptureFixture[str]) -> str:
    """What was written to stdout, which like stderr is harmless."""
    seen = capsys.readouterr()
    assert not has_unseen(seen.out), seen.out
    assert not has_unseen(seen.err), seen.err
    return seen.out


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.internal])
@QUICKLY
@given(random=RANDOM)
def test_resources(
    name: str, random: Random, invocation: Invocation, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS[name]
    item = filled(kind.message(), random)
    told = filled(ext.ListContainersResponse(), random)
    for one in told.items:
        one.service.name = item.metadata.name
    with patch("octelium.client.containers.states_among", lambda *_: told):
        show_table(invocation, kind, [item, item])
    show_one(invocation, kind, item, "name")
    show_one(invocation, kind, item, "yaml")
    relations = [("Users", [random.choice(TEXTS)] * random.choice([1, 30]))]
    for text in description(kind, item, relations, _NOW):
        PLAIN.show(text)
    for form in ("table", "json", "yaml", "name"):
        lines = watched_lines(invocation, kind, form)
        for text in (*lines.first([item]), lines.next("ADDED", item)):
            PLAIN.show(text)
    require_inert(capsys)
    show_one(invocation, kind, item, "json")
    assert json.loads(require_inert(capsys)) == to_json(item)
    if kind.list_message is not None:
        listing = kind.list_message(items=[item])
        show_list(invocation, kind, listing, "json")
        assert json.loads(require_inert(capsys)) == to_json(listing)


@QUICKLY
@given(random=RANDOM)
def test_logs(random: Random, capsys: pytest.CaptureFixture[str]) -> None:
    entry = Entry(filled(core.AccessLog(), random), random.choice(TEXTS))
    attempt = filled(ext.AuthenticationLogEntry(), random)
    for lines, item in (
        (TextLines(PLAIN), entry),
        (TextLines(PLAIN, ids=True), entry),
        (AttemptLines(PLAIN), attempt),
    ):
        for text in (*lines.first([item]), lines.next(item)):  # type: ignore[arg-type, list-item]  # pairs
            assert "\n" not in text
            PLAIN.show(text)
    require_inert(capsys)
    PLAIN.show(JsonLines(json_line).next(entry))
    assert json.loads(require_inert(capsys)) == to_json(entry.log)


@QUICKLY
@given(random=RANDOM)
def test_decisions(random: Random, capsys: pytest.CaptureFixture[str]) -> None:
    show_explanation(PLAIN, filled(ext.Explanation(), random))
    access = filled(ext.Access(), random)
    for form in ("table", "yaml", "name"):
        show_accesses(PLAIN, [access, access], "user", [], form)
    preview = filled(ext.PreviewAccessResponse(), random)
    show_preview(PLAIN, preview)
    PLAIN.note("\n".join(preview_lines(preview, lambda text, *_: text, None)))
    require_inert(capsys)


@QUICKLY
@given(random=RANDOM)
def test_what_is_wrong(random: Random, capsys: pytest.CaptureFixture[str]) -> None:
    def text() -> str:
        return random.choice(HOSTILE)

    fault = DocumentError(text(), 1, 1, text(), text(), text(), 3, text())
    report(InvalidDocuments([fault, DocumentError(text(), 0, 0, "", text())]), PLAIN, text())
    report(ApiError("NOT_FOUND", text(), text(), text()), PLAIN, text())
    tell_all(PLAIN, [filled(ext.ApplyError(), random)], [])
    found = Examination()
    found.ok(text(), text())
    found.warn(f"{text()}1", text(), text())
    found.fail(f"{text()}2", text(), text())
    doctor_report.show(PLAIN, found, "text")
    operation = ext.AppliedOperation(kind="User", name=random.choice(TEXTS), changed=["data"])
    operation.after.update({random.choice(TEXTS): [random.choice(TEXTS)]})
    for line in difference(operation):
        PLAIN.show(inert(line))
    told = to_json(filled(user.GetStatusResponse(), random))
    PLAIN.show(status._text(told, {}, was_killed=random.random() < 0.5))
    require_inert(capsys)


@QUICKLY
@given(value=st.recursive(st.sampled_from(TEXTS) | st.text(), st.lists, max_leaves=6))
def test_any_value(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    PLAIN.show(yaml_text(value))
    require_inert(capsys)
    for form in (json_text, json_line):
        PLAIN.show(form(value))
        assert json.loads(require_inert(capsys)) == value
