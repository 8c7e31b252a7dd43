from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from octelium.cli.invocation import Invocation
from octelium.client.lists import REVISION_TRAILER
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cli.real import real_api
from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.client.standin import Authority, StandIn

ADDED, MODIFIED, DELETED = (
    ext.ChangeType__.ADDED,
    ext.ChangeType__.MODIFIED,
    ext.ChangeType__.DELETED,
)

TABLE = """\
CHANGE    NAME    GROUPS  TYPE   AGE   EMAIL  DISABLED
LISTED    ann     -       HUMAN  60m   -      no
LISTED    bob     -       HUMAN  120m  -      no
ADDED     eve-the-new  -       HUMAN  3h  -      no
MODIFIED  ann     -       HUMAN  60m   -      yes
DELETED   bob     -       HUMAN  120m  -      no
"""


class Sleeping(list[float]):
    """Calls back instead of remembering how long somebody sleeps."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._sleep = sleep

    def append(self, seconds: float) -> None:
        self._sleep(seconds)


def told(cluster: StandIn, change: Any, user: Any, revision: int) -> None:
    response = ext.WatchResponse(revision=revision)
    response.changes.add(
        revision=revision, type=change, kind="User", uid=user.metadata.uid, user=user
    )
    cluster.live.put(response)


@pytest.fixture
def changing(cluster: StandIn) -> StandIn:
    """Two Users; then a third comes, the first changes and the second goes."""
    ann = cluster.add(resource("User", "ann", spec={"type": "HUMAN"}))
    bob = cluster.add(resource("User", "bob", spec={"type": "HUMAN"}))
    since = ext.WatchResponse(revision=7).SerializeToString()
    cluster.trailers["ListUser"] = {REVISION_TRAILER: since}
    cluster.live.put(ext.WatchResponse(revision=7))
    eve = cluster.add(resource("User", "eve-the-new", spec={"type": "HUMAN"}))
    del cluster.objects["User", "eve-the-new"]
    told(cluster, ADDED, eve, 8)
    changed = type(ann)()
    changed.CopyFrom(ann)
    changed.spec.is_disabled = True
    changed.metadata.resource_version = "9"
    told(cluster, MODIFIED, changed, 9)
    told(cluster, DELETED, bob, 10)
    cluster.live.put(RefusedError("INVALID_ARGUMENT", "enough"))
    return cluster


def watched(terminal: Runner, *arguments: str) -> str:
    """What is written until the Cluster ends it."""
    result = terminal.ctl("get", *arguments, "--watch")
    assert "enough" in result.err
    return result.out


def test_a_table_grows(terminal: Runner, changing: StandIn) -> None:
    lines = watched(terminal, "users").splitlines()
    assert [line.split() for line in lines] == [line.split() for line in TABLE.splitlines()]
    assert len({line.index("HUMAN") for line in lines[1:] if "eve" not in line}) == 1
    assert changing.methods() == ["AuthenticateWithAuthenticationToken", "ListUser", "Watch"]
    assert changing.calls[-1].request == ext.WatchRequest(kinds=["User"], revision=7)


def test_each_line_of_json_is_a_change(terminal: Runner, changing: StandIn) -> None:
    lines = [json.loads(line) for line in watched(terminal, "users", "-o", "json").splitlines()]
    assert [(line["type"], line["resource"]["metadata"]["name"]) for line in lines] == [
        ("LISTED", "ann"),
        ("LISTED", "bob"),
        ("ADDED", "eve-the-new"),
        ("MODIFIED", "ann"),
        ("DELETED", "bob"),
    ]
    assert lines[3]["resource"]["spec"]["isDisabled"] is True


def test_each_document_of_yaml_is_a_change(terminal: Runner, changing: StandIn) -> None:
    documents = [*yaml.safe_load_all(watched(terminal, "users", "-o", "yaml"))]
    assert [document["type"] for document in documents] == [
        *("LISTED", "LISTED", "ADDED", "MODIFIED", "DELETED")
    ]
    assert documents[3]["resource"]["spec"]["isDisabled"] is True


def test_names_say_what_happened(terminal: Runner, changing: StandIn) -> None:
    assert watched(terminal, "users", "-o", "name").splitlines() == [
        "listed user/ann",
        "listed user/bob",
        "added user/eve-the-new",
        "modified user/ann",
        "deleted user/bob",
    ]


def test_only_those_that_are_named(terminal: Runner, changing: StandIn) -> None:
    out = watched(terminal, "user", "eve-the-new", "bob", "-o", "name")
    assert out.splitlines() == ["listed user/bob", "added user/eve-the-new", "deleted user/bob"]


def test_what_others_wrote_is_inert(terminal: Runner, cluster: StandIn) -> None:
    evil = resource(
        "Service", "wiki", metadata={"name": "wiki", "displayName": "\x1b[31mred\u202e"}
    )
    cluster.add(evil)
    for output in ("table", "json", "yaml"):
        cluster.live.put(ext.WatchResponse(revision=1))
        cluster.live.put(RefusedError("INVALID_ARGUMENT", "enough"))
        out = watched(terminal, "services", "-o", output)
        assert "wiki.default" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_a_cluster_without_watches_is_asked_again(terminal: Runner, cluster: StandIn) -> None:
    ann = cluster.add(resource("User", "ann", spec={"type": "HUMAN"}))
    cluster.foreign = True
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            del cluster.objects["User", "ann"]
        if len(slept) == 4:
            cluster.failures["ListUser"] = [RefusedError("PERMISSION_DENIED", "enough")]

    terminal.slept = Sleeping(sleep)
    out = watched(terminal, "users", "-o", "json").splitlines()
    assert [json.loads(line)["type"] for line in out] == ["LISTED", "DELETED"]
    last = json.loads(out[1])["resource"]
    assert last["metadata"]["uid"] == ann.metadata.uid
    assert last["spec"] == {"type": "HUMAN"}


def test_a_real_server_without_watches_is_asked_again(
    offline: Runner, authority: Authority, tmp_path: Path
) -> None:
    with real_api(tmp_path, authority, official=True) as (harness, environ):
        offline.environ, offline.now = environ, harness.clock.now
        offline.works("create", "group", "first")
        other = Invocation(environ)
        core = other.client.core
        turns = 0

        def sleep(_seconds: float) -> None:
            nonlocal turns
            turns += 1
            if turns == 2:
                core.call("CreateGroup", resource("Group", "second"))
            if turns == 4:
                found = core.call("GetGroup", meta.GetOptions(name="first"))
                found.metadata.display_name = "changed"
                core.call("UpdateGroup", found)
            if turns == 6:
                core.call("DeleteGroup", meta.DeleteOptions(name="second"))
            if turns == 8:
                raise KeyboardInterrupt

        offline.slept = Sleeping(sleep)
        result = offline.ctl("get", "groups", "--watch", "-o", "name")
        other.close()
    assert (result.code, result.err.strip()) == (130, "Interrupted.")
    assert result.out.splitlines() == [
        "listed group/first",
        "added group/second",
        "modified group/first",
        "deleted group/second",
    ]


@pytest.mark.parametrize(
    "option", [["--page", "2"], ["--items-per-page", "3"], ["--order-by-name"], ["--order-reverse"]]
)
def test_pages_and_orders_do_not_go_with_it(terminal: Runner, option: list[str]) -> None:
    result = terminal.ctl("get", "users", "--watch", *option)
    assert result.code == 2
    assert "--watch" in result.err
