from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.policy.suite import Suite
from octelium.cli.policy.suite_reader import MAX_CASES, merged, read_suite
from octelium.schema.errors import DocumentError, InvalidDocuments

if TYPE_CHECKING:
    from octelium.cli.policy.suite import PolicyCase


def read(text: str) -> Suite:
    return read_suite(textwrap.dedent(text), "w.test.yaml")


def errors_of(text: str) -> list[DocumentError]:
    with pytest.raises(InvalidDocuments) as caught:
        read(text)
    return caught.value.errors


def one(case: str) -> PolicyCase:
    [read_case] = read(f"cases: [{{name: n, service: wiki, expect: allow, {case}}}]").cases
    return read_case


def test_a_whole_file() -> None:
    suite = read(
        """\
        files: [a.yaml, ../b]
        service: wiki
        at: 2026-01-31T12:00:00Z
        cases:
          - name: readers may read
            who: ann
            request: GET /
            expect: allow
            rule: read-only
            config: default
          - name: nobody else
            who: anonymous
            service: files.prod
            at: 2026-02-01
            expect: unauthenticated
        """
    )
    assert suite.files == ("a.yaml", "../b")
    first, second = suite.cases
    assert (first.source, first.line, first.name) == ("w.test.yaml", 5, "readers may read")
    assert (first.service, first.expect, first.rule, first.config) == (
        "wiki",
        "allow",
        "read-only",
        "default",
    )
    assert first.at == 1769860800
    assert first.request == {"http": {"method": "GET", "uri": "/"}}
    assert (first.who.user, first.who.session, first.who.device) == ("ann", {}, {})
    assert (second.line, second.service, second.at) == (11, "files.prod", 1769904000)
    assert (second.who.user, second.who.credential, second.request) == ("", "", None)


def test_files_are_those_beside_by_default() -> None:
    assert read("cases: [{name: n, who: a, service: w, expect: deny}]").files is None


def test_short_forms_of_a_session() -> None:
    who = one(
        "who: {user: ann, type: CLIENTLESS, aal: AAL2, isBrowser: true, scopes: ['service:wiki']}"
    ).who
    assert who.session == {
        "status": {
            "type": "CLIENTLESS",
            "isBrowser": True,
            "scopes": [{"service": {"filter": {"names": ["wiki"], "namespaces": ["default"]}}}],
            "authentication": {"info": {"aal": "AAL2"}},
        }
    }
    assert who.label == "ann (type CLIENTLESS, aal AAL2, isBrowser true, scopes service:wiki)"


def test_fields_of_a_session_and_a_device() -> None:
    who = one(
        "who: {credential: key, aal: AAL1, session: {status: {isLocked: true}}, "
        "device: {status: {osType: LINUX}}}"
    ).who
    assert (who.user, who.credential) == ("", "key")
    assert who.session["status"] == {
        "isLocked": True,
        "authentication": {"info": {"aal": "AAL1"}},
    }
    assert who.device == {"spec": {"state": "ACTIVE"}, "status": {"osType": "LINUX"}}
    assert one("who: {user: a, device: {}}").who.device == {"spec": {"state": "ACTIVE"}}
    pending = one("who: {user: a, device: {spec: {state: PENDING}}}").who
    assert pending.device == {"spec": {"state": "PENDING"}}
    assert one("who: {anonymous: true}").who.label == "anonymous"


def test_lists_are_combined() -> None:
    cases = read(
        """\
        cases:
          - name: n
            who: [ann, {user: bob, aal: AAL2}]
            service: [wiki, files]
            request: [GET /, {grpc: {serviceFullName: a.B, method: C}}, {ssh: {connect: {user: x}}}]
            expect: deny
        """
    ).cases
    assert len(cases) == 12
    assert [case.name for case in cases[:3]] == [
        "n [ann, wiki, GET /]",
        "n [ann, wiki, a.B/C]",
        "n [ann, wiki, ssh connect=user=x]",
    ]
    assert cases[-1].name.startswith("n [bob (aal AAL2), files, ssh")
    assert {case.line for case in cases} == {2}
    [single] = read(
        "cases: [{name: n, who: [ann], service: w, request: GET /, expect: deny}]"
    ).cases
    assert single.name == "n [ann]"


def test_the_number_of_combinations_is_bounded() -> None:
    people = ", ".join(["ann"] * 150)
    services = ", ".join(["wiki"] * 150)
    [error] = errors_of(
        f"cases: [{{name: n, who: [{people}], service: [{services}], expect: deny}}]"
    )
    assert str(MAX_CASES) in error.problem


def test_every_fault_has_its_line_path_and_remedy() -> None:
    errors = errors_of(
        """\
        file: [a.yaml]
        cases:
          - name: one
            who: ann
            servise: wiki
            expect: alow
          - nme: two
            who: {usr: ann, aal: AAL4, scopes: x}
            service: wiki
            request:
              metod: GET
            expect: deny
          - just text
        """
    )
    assert [(error.line, error.path, error.remedy) for error in errors] == [
        (1, "file", "did you mean files?"),
        (3, "cases[0].service", "name a Service"),
        (5, "cases[0].servise", "did you mean service?"),
        (6, "cases[0].expect", "did you mean allow?"),
        (7, "cases[1].nme", "did you mean name?"),
        (7, "cases[1].name", "say what must hold"),
        (8, "cases[1].who.usr", "did you mean user?"),
        (
            8,
            "cases[1].who",
            "write a User's name, anonymous, or an object with user: or credential:",
        ),
        (8, "cases[1].who.scopes", ""),
        (8, "cases[1].who.aal", "did you mean AAL3?"),
        (11, "cases[1].request.metod", "did you mean method?"),
        (13, "cases[2]", "write name:, who:, request: and expect:"),
    ]
    assert str(errors[0]).startswith("w.test.yaml:1 (document 1): file: unknown field")


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("kind: Policy\nspec: {}", "kind", "declares resources"),
        ("kind: Policy\n---\nkind: User", "kind", "declares resources"),
        ("[]", "", "no file of tests"),
        ("cases: []", "cases", "no cases"),
        ("cases: {a: 1}", "cases", "no cases"),
        ("service: wiki", "cases", "no cases"),
        ("cases: [{name: n, service: w, expect: deny}]", "cases[0].who", "missing"),
        ("cases: [{name: n, service: w, who: a}]", "cases[0].expect", "missing"),
        ("cases: [{name: n, who: a, expect: deny}]", "cases[0].service", "missing"),
        ("files: [1]\ncases: [{name: n, who: a, service: w, expect: deny}]", "files[0]", "text"),
        ("at: noon\ncases: [{name: n, who: a, service: w, expect: deny}]", "at", "time"),
        ("cases: [{name: n, service: w, expect: deny, who: 1}]", "cases[0].who", "somebody"),
        ("cases: [{name: n, service: w, expect: deny, who: ''}]", "cases[0].who", "somebody"),
        ("cases: [{name: n, service: w, expect: deny, who: {}}]", "cases[0].who", "one of"),
        (
            "cases: [{name: n, service: w, expect: deny, who: {user: a, credential: b}}]",
            "cases[0].who",
            "one of",
        ),
        (
            "cases: [{name: n, service: w, expect: deny, who: {anonymous: true, aal: AAL1}}]",
            "cases[0].who",
            "nobody",
        ),
        (
            "cases: [{name: n, service: w, expect: deny, who: {anonymous: maybe}}]",
            "cases[0].who.anonymous",
            "true or false",
        ),
        (
            "cases: [{name: n, service: w, expect: deny, who: {user: a, session: {stats: {}}}}]",
            "cases[0].who.session.stats",
            "unknown field",
        ),
        (
            "cases: [{name: n, service: w, expect: deny, who: {user: a, device: []}}]",
            "cases[0].who.device",
            "object",
        ),
        (
            "cases: [{name: n, service: [1], who: a, expect: deny}]",
            "cases[0].service[0]",
            "Service",
        ),
        ("cases: [{name: n, service: w, who: [], expect: deny}]", "cases[0].who", "empty"),
        ("cases: [{name: n, service: [], who: a, expect: deny}]", "cases[0].service", "empty"),
        (
            "cases: [{name: n, service: w, who: a, request: [], expect: deny}]",
            "cases[0].request",
            "empty",
        ),
        ("cases: [{name: 1, service: w, who: a, expect: deny}]", "cases[0].name", "text"),
    ],
)
def test_refused_files(text: str, path: str, problem: str) -> None:
    assert any(error.path == path and problem in error.problem for error in errors_of(text))


def test_one_document_a_file() -> None:
    [error] = errors_of("cases: [{name: n, who: a, service: w, expect: deny}]\n---\ncases: []")
    assert (error.line, error.problem) == (3, "there is a second document")


def test_merging() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}, "d": {"e": 5}}) == {
        "a": {"b": 4, "c": 2},
        "d": {"e": 5},
    }


_WORDS = [
    "cases", "files", "service", "at", "name", "who", "request", "expect", "rule", "config", "user",
    "credential", "anonymous", "session", "device", "type", "aal", "scopes", "method", "path",
    "headers", "body", "allow", "deny", "ann", "GET /", "CLIENT", "AAL1", "2026-01-31", "true", "1",
]  # fmt: skip
_FLOW = st.recursive(
    st.sampled_from(_WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from(_WORDS), inner), max_size=5).map(
            lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"
        ),
    ),
    max_leaves=25,
)


@given(st.one_of(st.text(max_size=80), _FLOW, _FLOW.map(lambda text: f"cases: [{text}]")))
def test_any_text_is_read_or_refused_with_places(text: str) -> None:
    suite, errors = Suite("f", None, ()), []
    try:
        suite = read_suite(text, "f")
    except InvalidDocuments as invalid:
        errors = invalid.errors
    assert bool(suite.cases) != bool(errors)
    assert all(error.line >= 1 and error.problem for error in errors)
    assert all(case.name and case.expect for case in suite.cases)
