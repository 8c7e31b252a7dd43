from __future__ import annotations

from xml.etree import ElementTree as ET

from octelium.cli.policy.junit import junit
from tests.cli.policy.explanations import explanation, result


def test_suites_and_cases() -> None:
    results = [
        result(explanation(), name="one"),
        result(explanation(), "expected <deny>\x1b[31m & more\ud800", name='two "2"'),
        result(None, "no such User", name="three", source="x.test.yaml"),
    ]
    root = ET.fromstring(junit(results, lambda failed: f"{failed.problem}\nat length"))
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "1", "time": "0.750000"}
    first, second = root
    assert (first.get("name"), first.get("tests"), first.get("failures")) == (
        "w.test.yaml",
        "2",
        "1",
    )
    assert (second.get("name"), second.get("errors")) == ("x.test.yaml", "1")
    passed, failed = first
    assert (passed.get("name"), passed.get("line"), len(passed)) == ("one", "3", 0)
    assert failed.get("name") == 'two "2"'
    [failure] = failed
    assert failure.tag == "failure"
    assert failure.get("message") == "expected <deny>\ufffd[31m & more\ufffd"
    assert (failure.text or "").endswith("\nat length")
    assert second[0][0].tag == "error"


def test_nothing() -> None:
    assert ET.fromstring(junit([], str)).get("tests") == "0"
