"""What documents tell of the code is what the code is."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.containers import NO_CONTROLLER, STARTING, UNHEALTHY
from octelium.schema.pb import core_v1_pb2 as core
from tests.docs.markdown import ROOT, documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_VARIABLE = re.compile(r"\bOCTELIUM_[A-Z0-9_]+[A-Z0-9]\b")
_INTERNAL = {"OCTELIUM_CHILD"}
"""Between the processes of a Cluster."""


@pytest.fixture(scope="module", name="writer")
def writer_fixture() -> Any:
    """scripts/write_docs.py."""
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts/write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    before = list(sys.path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path[:] = before


@pytest.mark.parametrize(
    "document", documents(), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_a_document_is_as_the_code_is(writer: Any, document: Path) -> None:
    text = document.read_text()
    assert text == writer.written(text), "run scripts/write_docs.py"


def test_every_part_is_in_a_document(writer: Any) -> None:
    text = "".join(file.read_text() for file in documents())
    assert {name for name in writer.REGIONS if f"<!-- begin {name} -->" in text} == {
        *writer.REGIONS
    }


def test_links_lead_somewhere() -> None:
    for document in documents():
        for target in _LINK.findall(document.read_text()):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            file = (document.parent / name) if name else document
            assert file.exists(), f"{document.name}: {target}"
            if anchor:
                anchors = {_anchor(text) for text in _HEADING.findall(file.read_text())}
                assert anchor in anchors, f"{document.name}: {target}"


def _anchor(heading: str) -> str:
    """As GitHub makes them."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def test_every_variable_is_in_the_reference() -> None:
    sources = [
        *(ROOT / "octelium").rglob("*.py"),
        ROOT / "scripts/preamble.py",
        ROOT / "install.sh",
        ROOT / "k3s/bootstrap.sh",
    ]
    known = {word for file in sources for word in _VARIABLE.findall(file.read_text())}
    told = set(_VARIABLE.findall((ROOT / "docs/reference.md").read_text()))
    assert known - told - _INTERNAL == set()
    assert told - known == set()


def test_every_message_can_be_found_by_its_words(writer: Any) -> None:
    """A message as a person meets it, with the parts that vary."""
    text = (ROOT / "docs/troubleshooting.md").read_text()
    assert "the certificate of … is of an authority this computer does not trust" in text
    assert "DNS knows no address of …" in text
    assert "the upstream of … does not answer (…)" in text
    assert len(writer.messages()) > 100


def test_lines_of_prose_are_short() -> None:
    for document in documents():
        within = False
        for number, line in enumerate(document.read_text().splitlines(), 1):
            within ^= line.startswith("```")
            prose = not within and not line.startswith(("|", "#", "<!--"))
            assert not prose or len(line) <= 100, f"{document.name}:{number}"


def test_every_field_of_a_container_is_in_its_table() -> None:
    table = (ROOT / "docs/containers.md").read_text().partition("## All fields")[2]
    table = table.partition("\n## ")[0]
    first = "".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))
    named = set(re.findall(r"`([^`]+)`", first))
    probes = {f"{one}.{name}" for one in _PROBES for name in named if name.startswith("….")}
    told = {name for name in named if not name.startswith("….")}
    told |= {name.replace(".….", ".") for name in probes}
    asked = set(_fields(core.ServiceSpecConfigUpstreamContainer.DESCRIPTOR))
    assert {name for name in told if name not in _PROBES} == asked


_PROBES = ("readinessProbe", "livenessProbe")


def _fields(descriptor: Any, before: str = "") -> Iterator[str]:
    """The paths of all plain fields below a message, as documents write them."""
    for field in descriptor.fields:
        entries = field.message_type is not None and field.message_type.GetOptions().map_entry
        path = before + field.json_name + ("[]" if field.is_repeated and not entries else "")
        if field.message_type is None or entries:
            yield path
        else:
            yield from _fields(field.message_type, f"{path}.")


def test_reasons_of_containers_are_as_they_are_on_the_screen() -> None:
    text = (ROOT / "docs/containers.md").read_text()
    for reason in (STARTING, NO_CONTROLLER, UNHEALTHY):
        assert f"| `{reason}` |" in text
