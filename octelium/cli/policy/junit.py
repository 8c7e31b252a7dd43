"""Results as JUnit XML, the form that CI systems read.

There is no standard; this is the common core: `testsuites`, `testsuite`, `testcase`, `failure` and
`error` (https://github.com/testmoapp/junitxml).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.cli.policy.runner import CaseResult

# Characters that XML 1.0 has no way to hold (https://www.w3.org/TR/xml/#charsets).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[CaseResult], describe: Callable[[CaseResult], str]) -> str:
    """An XML document with one suite per file. `describe` tells a failure at length."""
    root = Element("testsuites", _counts(results))
    by_file: dict[str, list[CaseResult]] = {}
    for result in results:
        by_file.setdefault(result.case.source, []).append(result)
    for source, own in by_file.items():
        suite = SubElement(root, "testsuite", {"name": _text(source), **_counts(own)})
        for result in own:
            case = SubElement(
                suite,
                "testcase",
                {
                    "classname": _text(source),
                    "name": _text(result.case.name),
                    "file": _text(source),
                    "line": str(result.case.line),
                    "time": f"{result.seconds:.6f}",
                },
            )
            if not result.ok:
                kind = "error" if result.impossible else "failure"
                SubElement(case, kind, {"message": _text(result.problem)}).text = _text(
                    describe(result)
                )
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: Sequence[CaseResult]) -> dict[str, str]:
    errors = sum(result.impossible for result in results)
    failures = sum(not result.ok for result in results) - errors
    seconds = sum(result.seconds for result in results)
    return {
        "tests": str(len(results)),
        "failures": str(failures),
        "errors": str(errors),
        "time": f"{seconds:.6f}",
    }


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
