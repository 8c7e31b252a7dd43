from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import struct_pb2

from octelium.cli.applying import (
    FOREIGN,
    Outcome,
    carry_out,
    changed,
    placed_error,
    plain,
    require_complete,
)
from octelium.cli.failure import Failed
from octelium.cli.invocation import Invocation
from octelium.client.changes import ERRORS_TRAILER
from octelium.client.errors import ApiError
from octelium.schema.documents import Document, parse_documents
from octelium.schema.errors import InvalidDocuments
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.runner import Runner

TEXT = """\
kind: Group
metadata: {name: ops}
spec: {}
---
kind: User
metadata: {name: ann}
spec: {groups: [opps]}
---
kind: User
metadata: {name: bob}
spec: {groups: [ops]}
"""


@pytest.fixture
def invocation(terminal: Runner) -> Iterator[Invocation]:
    made = Invocation(terminal.environ, clock=lambda: terminal.now, sleep=terminal.slept.append)
    yield made
    made.close()


@pytest.fixture
def documents() -> list[Document]:
    return parse_documents(TEXT, "a.yaml")


def test_what_the_cluster_refuses_is_found_in_the_file(
    invocation: Invocation, documents: list[Document]
) -> None:
    with pytest.raises(InvalidDocuments) as caught:
        carry_out(invocation, documents, (), dry_run=False)
    assert str(caught.value) == (
        "a.yaml:7 (document 2): User ann: spec.groups[0]: there is no Group 'opps' "
        "(create it first)"
    )


def test_refusals_of_something_else_stay_as_they_are(
    cluster: StandIn, invocation: Invocation, documents: list[Document]
) -> None:
    errors = ext.ApplyErrors(errors=[ext.ApplyError(kind="User", name="gone", problem="used")])
    trailers = {"octelium_apply_errors_bin": errors.SerializeToString()}
    cluster.failures["Apply"] = [RefusedError("INVALID_ARGUMENT", "User gone: used", **trailers)]
    with pytest.raises(ApiError, match="User gone: used"):
        carry_out(invocation, documents, ("User",), dry_run=False)


def test_a_foreign_cluster_is_changed_step_by_step(
    cluster: StandIn,
    invocation: Invocation,
    documents: list[Document],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.foreign = True
    planned = carry_out(invocation, documents, (), dry_run=True)
    assert (len(planned.operations), planned.complete) == (3, True)
    assert capsys.readouterr().err == ""
    cluster.failures["CreateUser"] = [RefusedError("INVALID_ARGUMENT", "no Group 'opps'")]
    done = carry_out(invocation, documents, (), dry_run=False)
    assert [operation.name for operation in done.operations] == ["ops", "bob"]
    assert not done.complete
    said = capsys.readouterr().err
    assert FOREIGN in said
    assert "Error: User ann: InvalidArgument: no Group 'opps'" in said
    with pytest.raises(Failed):
        require_complete(done)


def test_the_same_walk_with_the_projects_own_api(real: Runner) -> None:
    config = "{upstream: {url: 'http://127.0.0.1:1'}}"
    text = TEXT.replace("opps", "ops").replace("spec: {groups", "spec: {type: WORKLOAD, groups") + (
        "---\nkind: Secret\nmetadata: {name: key}\nspec: {}\ndata: {value: s3cret}\n"
        f"---\nkind: Service\nmetadata: {{name: wiki}}\nspec: {{mode: HTTP, config: {config}}}\n"
    )
    assert real.ctl("diff", "-", "--include-secret", stdin=text).code == 1
    assert "5 created, 0 unchanged\n" in real.works("apply", "-", "--include-secret", stdin=text)
    again = real.works("apply", "-", "--include-secret", stdin=text)
    assert again == "Nothing changed: 5 resources as the files say.\n"
    assert real.works("diff", "-", "--include-secret", stdin=text) == ""

    other = text.replace("s3cret", "0ther").replace("WORKLOAD, groups: [ops]", "WORKLOAD", 1)
    changed = real.works("apply", "-", "--include-secret", stdin=other)
    assert "User: ann Updated  spec.groups\n" in changed
    assert "Secret: key Updated  data\n" in changed
    assert changed.endswith("2 updated, 3 unchanged\n")

    refused = real.ctl(
        "apply", "-", stdin=TEXT.replace("spec: {groups", "spec: {type: HUMAN, groups")
    )
    assert (refused.code, refused.out) == (1, "")
    assert "stdin:7 (document 2): User ann: spec.groups[0]: " in refused.err

    prune = ("apply", "-", "--prune", "--allow-empty", "--include")
    spared = real.ctl(*prune, "User", stdin="")
    assert (spared.code, spared.out.splitlines()[0]) == (0, "User: ann Deleted")
    assert "user/root\n" in real.works("get", "users", "-o", "name")  # who asks for it
    pruned = real.works(*prune, "Service", stdin="")
    assert pruned == "Service: wiki.default Deleted\n1 deleted, 0 unchanged\n"


def test_all_refusals_in_the_order_of_the_files(real: Runner) -> None:
    text = (
        "kind: Credential\nmetadata: {name: key}\nspec: {type: AUTH_TOKEN, user: nobody}\n---\n"
        "kind: User\nmetadata: {name: ann}\nspec: {type: HUMAN, groups: [none]}\n---\n"
        "kind: Credential\nmetadata: {name: more}\nspec: {type: AUTH_TOKEN, user: ann}\n---\n"
        "kind: Group\nmetadata: {name: ops}\nspec: {authorization: {policies: [none]}}\n"
    )
    refused = real.ctl("apply", "-", stdin=text)
    assert (refused.code, refused.out) == (1, "")
    assert [line.partition(" (document")[0] for line in refused.err.splitlines()] == [
        "Error: stdin:3",
        "Error: stdin:7",
        "Error: stdin:15",
    ]


def test_more_refusals_than_a_reply_holds_are_counted(real: Runner) -> None:
    users = [f"kind: User\nmetadata: {{name: u-{n}}}\nspec: {{}}\n---\n" for n in range(300)]
    lines = real.ctl("apply", "-", stdin="".join(users)).err.splitlines()
    assert 10 < len(lines) < 300
    assert lines[-1] == (
        f"Error: apply: {301 - len(lines)} more resources are refused "
        "(mend these, then apply again)"
    )


def test_what_pruning_meets_stands_beside_what_files_do() -> None:
    documents = parse_documents(TEXT, "x.yaml")
    told = [
        ext.ApplyError(kind="Group", name="old", problem="has members"),
        ext.ApplyError(index=1, kind="User", name="ann", path="spec.groups", problem="bad"),
    ]
    errors = {ERRORS_TRAILER: ext.ApplyErrors(errors=told).SerializeToString()}
    error = ApiError("INVALID_ARGUMENT", "one\ntwo", "Apply", trailers=errors)
    assert str(placed_error(error, documents)).splitlines() == [
        "x.yaml:7 (document 2): User ann: spec.groups: bad",
        "--prune: Group old: has members",
    ]
    errors = {ERRORS_TRAILER: ext.ApplyErrors(errors=told[:1]).SerializeToString()}
    error = ApiError("INVALID_ARGUMENT", "one", "Apply", trailers=errors)
    assert placed_error(error, documents) is error


def test_which_operations_change_anything() -> None:
    actions = ext.Action__
    assert not changed(ext.AppliedOperation(action=actions.UNCHANGED))
    assert changed(ext.AppliedOperation(action=actions.DELETED))
    require_complete(Outcome([], complete=True))


def test_whole_numbers_of_a_struct() -> None:
    struct = struct_pb2.Struct()
    struct.update({"port": 80, "ratio": 0.5, "list": [1, {"deep": 2.0}], "text": "1"})
    assert plain(struct) == {"port": 80, "ratio": 0.5, "list": [1, {"deep": 2}], "text": "1"}
    assert "80.0" not in str(plain(struct))
