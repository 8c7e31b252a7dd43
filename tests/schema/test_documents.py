from __future__ import annotations

import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.cli.formats import json_text
from octelium.schema import json_writer
from octelium.schema.documents import Document, dump_yaml, parse_documents
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from tests.peers.timing import calls
from tests.schema.messages import resources
from tests.schema.services import services


def parse(text: str, **options: Any) -> list[Document]:
    return parse_documents(textwrap.dedent(text), "f.yaml", **options)


def errors_of(text: str, **options: Any) -> list[DocumentError]:
    with pytest.raises(InvalidDocuments) as refused:
        parse(text, **options)
    return refused.value.errors


def test_resources_come_in_their_order_with_their_places() -> None:
    documents = parse(
        """\
        # people
        kind: User
        metadata: {name: alice}
        spec: {type: HUMAN}
        ---
        ---
        apiVersion: core/v1
        kind: Service
        metadata: {name: wiki}
        spec:
          mode: WEB
          config: {upstream: {url: "http://h"}}
        """
    )
    assert [(d.kind.name, d.index, d.line, d.source) for d in documents] == [
        ("User", 1, 2, "f.yaml"),
        ("Service", 3, 7, "f.yaml"),
    ]
    user, service = (document.message for document in documents)
    assert user.api_version == "core/v1"
    assert user.spec.type == core.UserSpecType__.HUMAN
    assert service.spec.config.upstream.url == "http://h"


def test_lines_of_parts() -> None:
    text = (
        "---\nkind: Policy\nmetadata:\n  name: a\nspec:\n  rules:\n    - effect: ALLOW\n"
        "      condition:\n        match: 'true'\n"
    )
    [document] = parse_documents(text, "a.yaml")
    assert document.line_of("spec.rules[0].condition.match") == 9
    assert document.line_of("spec.rules[0].effect") == 7
    assert document.line_of("spec.rules[3].condition") == 6
    assert document.line_of("") == document.line == 2
    assert Document(document.kind, document.message, "b", 1, 7).line_of("spec") == 7


def test_json_is_yaml() -> None:
    [document] = parse('{"kind": "User",\n\t"metadata": {"name": "a\\u0062"}}')
    assert document.message.metadata.name == "ab"


def test_nothing_is_no_error() -> None:
    assert parse("") == []
    assert parse("---\n# x\n---\n") == []


def test_every_problem_of_a_text_is_listed_with_file_document_line_path_and_remedy() -> None:
    errors = errors_of(
        """\
        kind: Policy
        metadata: {name: staff}
        spec:
          rules:
            - effect: ALLOW
              condition:
                match: "ops" in ctx.user.spec.groups
        ---
        kind: Service
        metadata:
          nam: wiki
        spec:
          port: "x"
          isPublic: yes
          config:
            http: {auth: {bearer: token}}
            ssh: {}
        ---
        kind: User
        spec: {type: HUMAN}
        spec: {type: human}
        """
    )
    yaml_remedy = """put the whole text in quotes: match: '"ops" in ctx.user.spec.groups'"""
    assert [
        (error.source, error.document, error.line, error.path, error.remedy) for error in errors
    ] == [
        ("f.yaml", 1, 7, "", yaml_remedy),
        ("f.yaml", 2, 11, "metadata.nam", "did you mean name?"),
        ("f.yaml", 2, 13, "spec.port", ""),
        ("f.yaml", 2, 14, "spec.isPublic", "write true, without quotes"),
        ("f.yaml", 2, 16, "spec.config.http.auth.bearer", "name a Secret: {fromSecret: NAME}"),
        ("f.yaml", 2, 17, "spec.config.ssh", "keep one of the two"),
        ("f.yaml", 3, 21, "spec", "keep one of the two"),
        ("f.yaml", 3, 21, "spec.type", "did you mean HUMAN?"),
    ]
    assert str(errors[1]) == (
        "f.yaml:11 (document 2): metadata.nam: unknown field (did you mean name?)"
    )


@pytest.mark.parametrize(
    ("text", "path", "problem", "remedy"),
    [
        ("[a]", "", "not a resource", "kind:"),
        ("just text", "", "not a resource", "kind:"),
        ("metadata: {name: a}", "", "has no kind", "one of Secret"),
        ("kind: Usr", "kind", "unknown kind", "did you mean User?"),
        ("kind: user", "kind", "unknown kind", "did you mean User?"),
        ("kind: [User]", "kind", "unknown kind", ""),
        ("kind: 7", "kind", "unknown kind", "one of Secret"),
        ("kind: UsrList", "kind", "unknown kind", "one of Secret"),
        ("kind: List\nitems: []", "kind", "unknown kind", ""),
        ("kind: ClusterConfigList", "kind", "unknown kind", "did you mean ClusterConfig?"),
        ("kind: PolicyTriggerList", "kind", "unknown kind", ""),
        ("kind: SessionList", "kind", "a Session cannot be declared in a file", "one of Secret"),
        ("kind: UserList\nmetadata: {name: ann}", "metadata", "unknown field", ""),
        ("kind: UserList\napiVersion: v1", "apiVersion", "unknown API version", "core/v1"),
        ("kind: UserList\nitems: {a: 1}", "items", "the items are not a list", ""),
        ("kind: UserList\nitems: [7]", "items[0]", "not a resource", "kind:"),
        ("kind: UserList\nitems: [{kind: Group}]", "items[0].kind", "'Group' is not the kind of",
         "write User"),
        ("kind: UserList\nitems: [{kind: UserList}]", "items[0].kind", "'UserList' is not", ""),
        ("kind: UserList\nitems: [{}, {spec: {emial: a}}]", "items[1].spec.emial", "unknown field",
         "did you mean email?"),
        ("kind: PolicyTrigger", "kind", "unknown kind", ""),
        ("kind: Session", "kind", "a Session cannot be declared in a file", "one of Secret"),
        ("kind: Gateway", "kind", "cannot be declared", ""),
        ("kind: User\napiVersion: v1", "apiVersion", "unknown API version", "core/v1"),
        ("kind: User\nmetadata: {labels: {a: 1}}", "metadata.labels.a", "the number 1", "quotes"),
        ("kind: User\nspec: {isDisabled: 'no'}", "spec.isDisabled", "text 'no'", "write false"),
        ("kind: User\nspec: {session: {clientDuration: 8h}}", "spec.session.clientDuration",
         "text '8h'", "{hours: 8}"),
        ("kind: Group\nspec: {attrs: {a: .nan}}", "spec.attrs.a", "not a finite number", ""),
    ],
)  # fmt: skip
def test_refused_documents(text: str, path: str, problem: str, remedy: str) -> None:
    [error] = errors_of(text)
    assert error.path == path
    assert problem in error.problem
    assert remedy in error.remedy


def test_kinds_that_cannot_be_declared_are_read_on_request() -> None:
    [document] = parse("kind: Session\nspec: {state: ACTIVE}", any_kind=True)
    assert document.kind.name == "Session"
    errors_of("kind: PolicyTrigger", any_kind=True)


def test_a_list_declares_its_items() -> None:
    text = """\
        kind: Group
        metadata: {name: ops}
        ---
        apiVersion: core/v1
        kind: UserList
        listResponseMeta: {page: 0, totalCount: 2}
        items:
        - apiVersion: core/v1
          kind: User
          metadata:
            name: ann
            uid: 8ab6f2b1-9a0d-4f0e-8a51-0e0a7bc1f0a1
            resourceVersion: 8ab6f2b1-9a0d-4f0e-8a51-0e0a7bc1f0a2
          spec:
            type: HUMAN
          status: {}
        - metadata: {name: ben}
          spec: {type: WORKLOAD}
        """
    group, ann, ben = parse(text)
    assert [(one.kind.name, one.index, one.line) for one in (group, ann, ben)] == [
        ("Group", 1, 1),
        ("User", 2, 8),
        ("User", 2, 17),
    ]
    assert ann.message.metadata.name == "ann"
    assert ann.message.api_version == ben.message.api_version == "core/v1"
    assert ben.message.spec.type == core.UserSpecType__.WORKLOAD
    assert (ann.line_of("spec.type"), ben.line_of("spec.type")) == (15, 18)
    assert parse("kind: UserList") == parse("kind: UserList\nitems: []") == []
    merged = "kind: UserList\n<<: {items: [{metadata: {name: ann}}]}"
    assert [one.line_of("metadata.name") for one in parse(merged)] == [1]
    [session] = parse("kind: SessionList\nitems: [{spec: {state: ACTIVE}}]", any_kind=True)
    assert session.kind.name == "Session"


def test_faults_of_a_list_are_told_where_they_are_and_bounded() -> None:
    errors = errors_of("kind: UserList\nitems:\n" + "- spec: {emial: a}\n" * 100)
    assert (errors[1].path, errors[1].line) == ("items[1].spec.emial", 4)
    assert len(errors) == 50


def test_country_codes_dates_and_snake_case() -> None:
    [document] = parse(
        """\
        kind: Credential
        metadata: {name: ci, display_name: 2020-01-01}
        spec:
          expires_at: 2030-01-01
          user: no
        """
    )
    spec = document.message.spec
    assert document.message.metadata.display_name == "2020-01-01"
    assert spec.expires_at.ToJsonString() == "2030-01-01T00:00:00Z"
    assert spec.user == "no"


@settings(max_examples=150)
@given(st.lists(resources(), max_size=3))
def test_what_is_dumped_is_parsed(messages: list[Any]) -> None:
    for message in messages:
        message.kind = message.DESCRIPTOR.name
        message.api_version = "core/v1"
    written = dump_yaml(messages)
    parsed = parse_documents(written, "again", any_kind=True)
    assert [document.message for document in parsed] == messages


@settings(max_examples=100)
@given(st.lists(resources(), max_size=3))
def test_a_list_that_is_dumped_is_parsed(messages: list[Any]) -> None:
    for kind in {message.DESCRIPTOR.name for message in messages}:
        if KINDS[kind].list_message is None:
            continue
        items = [message for message in messages if message.DESCRIPTOR.name == kind]
        listing: Any = KINDS[kind].list_message(
            api_version="core/v1", kind=f"{kind}List", items=items
        )
        for item in listing.items:
            item.kind = kind
            item.api_version = "core/v1"
        listing.list_response_meta.total_count = 3
        as_json = json_text(json_writer.write(listing))
        # YAML has no pairs of escapes for one character.
        for text in [dump_yaml([listing]), *([as_json] if "\\ud" not in as_json else [])]:
            parsed = parse_documents(text, "again", any_kind=True)
            assert [document.message for document in parsed] == [*listing.items]


@pytest.mark.parametrize(
    "text", ["1e5", "12E4", "yes", "~", "", "0x1", "1", "2020-01-01", "<<", "="]
)
def test_texts_that_look_like_other_things_stay_texts(text: str) -> None:
    group = core.Group(kind="Group")
    group.metadata.display_name = text
    group.metadata.labels[text or "k"] = text
    [again] = parse_documents(dump_yaml([group]), "again")
    assert again.message.metadata == group.metadata


def test_dumped_yaml_is_readable() -> None:
    policy = core.Policy(kind="Policy")
    policy.metadata.name = "staff"
    opa = policy.spec.rules.add(effect=core.PolicySpecRuleEffect__.DENY)
    opa.condition.opa.inline = "package octelium.condition\nmatch if true\n"
    assert (
        dump_yaml([policy, policy]).split("---\n")
        == [
            textwrap.dedent(
                """\
            kind: Policy
            metadata:
              name: staff
            spec:
              rules:
              - condition:
                  opa:
                    inline: |
                      package octelium.condition
                      match if true
                effect: DENY
            """
            )
        ]
        * 2
    )


def parsed_or_refused(text: str) -> tuple[list[Document], list[DocumentError]]:
    """Nothing but InvalidDocuments may be raised, and only with errors."""
    try:
        return parse_documents(text, "fuzz", any_kind=True), []
    except InvalidDocuments as refused:
        return [], refused.errors or [DocumentError("", 0, 0, "", "")]


@settings(max_examples=200)
@given(st.text(max_size=80) | st.text("kind:User spc{}[]\n-\"'*&!#|,~0", max_size=80))
def test_a_text_is_parsed_or_refused(text: str) -> None:
    documents, errors = parsed_or_refused(text)
    assert not (documents and errors)
    assert all(error.problem and error.line >= 1 for error in errors)
    assert all(document.kind.name in KINDS for document in documents)


@settings(max_examples=200)
@given(resources(), st.data())
def test_a_damaged_document_is_parsed_or_refused(message: Any, data: st.DataObject) -> None:
    kind = KINDS[message.DESCRIPTOR.name]
    written = f"kind: {kind.name}\n" + dump_yaml([message]).removeprefix("{}\n")
    if kind.list_message is not None and data.draw(st.booleans()):
        written = dump_yaml([kind.list_message(kind=f"{kind.name}List", items=[message, message])])
    at = data.draw(st.integers(0, len(written)))
    cut = data.draw(st.integers(0, 5))
    put = data.draw(
        st.sampled_from(["", "x", ": ", "- ", '"', "'", "\n", "[", "{", "\t", "&", "*"])
    )
    damaged = written[:at] + put + written[at + cut :]
    documents, errors = parsed_or_refused(damaged)
    assert not (documents and errors)


def test_a_thousand_services_cost_as_ten_times_a_hundred() -> None:
    text, few = services(1000), services(100)
    parse_documents(few, "few")  # what is done once
    assert calls(lambda: parse_documents(text, "many")) < 11 * calls(
        lambda: parse_documents(few, "few")
    )
    documents = parse_documents(text, "many")
    assert len(documents) == 1000
    assert json_writer.write(documents[999].message)["metadata"] == {"name": "svc999.prod"}


def test_a_text_that_a_comma_in_brackets_ends() -> None:
    found = errors_of(
        """
        apiVersion: core/v1
        kind: Policy
        metadata: {name: p}
        spec:
          rules:
            - effect: ALLOW
              condition: {match: ctx.groups.exist(g, g == "ops")}
        """
    )
    assert any("put the whole text in quotes" in str(error) for error in found)
