"""Resources as they change, through workers, processes that die and rights that go."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.conftest import SOAK
from tests.e2e.cluster import ROOT, Api, Cluster, wait_for
from tests.e2e.documents import credential, policy, rule, workload
from tests.peers.timing import best

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 20 if SOAK else 2
CUT = 0.1
"""Seconds after which who may not watch any more is cut off."""
SLOW = 10
"""As many times what a call takes, a machine may take beside that."""
_API = 'ctx.service.metadata.name == "default.octelium-api"'


class Watch:
    """A watch by raw gRPC, read by a thread."""

    def __init__(self, api: Api, *kinds: str, revision: int = 0) -> None:
        call: Any = api.channel.unary_stream(
            "/octelium.ext.v1.MainService/Watch",
            request_serializer=ext.WatchRequest.SerializeToString,
            response_deserializer=ext.WatchResponse.FromString,
        )
        self.call = call(
            ext.WatchRequest(kinds=kinds, revision=revision),
            metadata=(("x-octelium-auth", api.access_token),),
            timeout=600,
        )
        self.changes: list[ext.WatchedChange] = []
        self.ended = 0.0
        self.code: grpc.StatusCode | None = None
        self.live = threading.Event()
        self.over = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for response in self.call:
                self.changes += response.changes
                self.live.set()
        except grpc.RpcError as error:
            self.code = error.code()
        self.ended = time.monotonic()
        self.live.set()
        self.over.set()

    def begun(self) -> Watch:
        """Wait until it tells what happens."""
        assert self.live.wait(60)
        return self


def group(name: str, **attrs: object) -> dict[str, Any]:
    return {"kind": "Group", "metadata": {"name": name}, "spec": {"attrs": attrs}}


@pytest.fixture(scope="module")
def watched(cluster: Cluster) -> Cluster:
    """A Cluster with Users who may list some things."""
    lists = 'ctx.request.grpc.method in ["ListGroup", "GetGroup"]'
    cluster.apply(
        policy("w-groups", rule("ALLOW", f"{_API} && {lists}")),
        workload("w-lister", authorization={"policies": ["w-groups"]}),
        workload("w-reader", authorization={"policies": ["octelium-api-read-only"]}),
        workload("w-nobody"),
        *(
            credential(f"{name}-token", name, "AUTH_TOKEN", sessionType="CLIENT")
            for name in ("w-lister", "w-reader", "w-nobody")
        ),
    )
    return cluster


def signed_in(cluster: Cluster, user: str) -> Api:
    made = json.loads(
        cluster.ctl("create", "credential", f"{user}-token", "--rotate", "-o", "json")
    )
    return cluster.api(token=made["authenticationToken"]["authenticationToken"])


def test_who_may_list_a_kind_may_watch_it(watched: Cluster) -> None:
    lister, reader = signed_in(watched, "w-lister"), signed_in(watched, "w-reader")
    groups, everything = Watch(lister, "Group").begun(), Watch(reader, "Group", "Secret").begun()
    watched.apply(group("w-seen"))
    wait_for(lambda: groups.changes and everything.changes)
    assert groups.changes[0] == everything.changes[0]
    assert groups.changes[0].group.metadata.name == "w-seen"
    for api, kinds in (
        (lister, ["User"]),
        (lister, ["Group", "User"]),
        (signed_in(watched, "w-nobody"), ["Group"]),
    ):
        refused = Watch(api, *kinds).begun()
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED
        assert refused.changes == []
    for watch in (groups, everything):
        watch.call.cancel()


def test_a_right_that_goes_ends_the_watch(watched: Cluster) -> None:
    numbers = itertools.count()

    def ends() -> float:
        watch = Watch(signed_in(watched, "w-lister"), "Group").begun()
        admin = watched.api()
        found = admin.core("GetPolicy", meta.GetOptions(name="w-groups"))
        found.spec.is_disabled = True
        began = time.monotonic()
        found = admin.core("UpdatePolicy", found)
        done = time.monotonic()
        late = f"w-late-{next(numbers)}"
        admin.core(
            "CreateGroup", core.Group(metadata=meta.Metadata(name=late), spec=core.GroupSpec())
        )
        assert watch.over.wait(60)
        assert watch.code is grpc.StatusCode.PERMISSION_DENIED
        assert late not in [change.group.metadata.name for change in watch.changes]
        found.spec.is_disabled = False
        admin.core("UpdatePolicy", found)
        return watch.ended - done - SLOW * (done - began)

    assert best(ends, CUT) < CUT


@pytest.mark.parametrize("how", ["session", "user"])
def test_who_is_shut_out_watches_no_more(watched: Cluster, how: str) -> None:
    def ends() -> float:
        watch = Watch(signed_in(watched, "w-reader"), "Group", "Session").begun()
        admin = watched.api()
        began = time.monotonic()
        user = admin.core("GetUser", meta.GetOptions(name="w-reader"))
        slow = SLOW * (time.monotonic() - began)
        if how == "session":
            reference = meta.ObjectReference(name="w-reader")
            options = core.ListSessionOptions(user_ref=reference)
            for session in admin.core("ListSession", options).items:
                admin.core("DeleteSession", meta.DeleteOptions(uid=session.metadata.uid))
        else:
            user.spec.is_disabled = True
            user = admin.core("UpdateUser", user)
        done = time.monotonic()
        assert watch.over.wait(60)
        if how == "user":
            user.spec.is_disabled = False
            admin.core("UpdateUser", user)
        return watch.ended - done - slow

    assert best(ends, CUT) < CUT


@pytest.fixture
def watcher(cluster: Cluster) -> Iterator[tuple[Cluster, list[dict[str, Any]]]]:
    """A Cluster whose Groups `octeliumctl` watches, and the lines that it writes."""
    command = [str(ROOT / "dist/octeliumctl"), "get", "groups", "--watch", "-o", "json"]
    process = subprocess.Popen(
        command,
        env=cluster.base_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines: list[dict[str, Any]] = []
    assert process.stdout is not None
    output = process.stdout

    def read() -> None:
        for line in output:
            if line.endswith("\n"):  # not killed in the middle of it
                lines.append(json.loads(line))  # noqa: PERF401  (each is looked at when it comes)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield cluster, lines
        wait_for(cluster._ready)
    finally:
        process.kill()
        process.wait()
        reader.join(60)
        output.close()


def test_control_dies_and_nothing_is_lost_or_doubled(
    watcher: tuple[Cluster, list[dict[str, Any]]],
) -> None:
    cluster, lines = watcher
    cluster.apply(group("first"))
    wait_for(lambda: lines)
    for round_ in range(ROUNDS):
        old = cluster.kill("control")
        wait_for(lambda: cluster.children().get("control", old) != old)  # noqa: B023
        for number in range(4):
            wait_for(
                lambda: (
                    "unchanged"
                    in cluster.apply(group(f"g{round_}-{number}", a=round_), check=False)  # noqa: B023
                )
            )
        wait_for(lambda: cluster.apply(group("first", round=round_)))  # noqa: B023
    cluster.ctl("delete", "group", "g0-0")
    wait_for(lambda: lines and lines[-1]["type"] == "DELETED")
    have: dict[str, Any] = {}
    versions = [line["resource"]["metadata"]["resourceVersion"] for line in lines]
    assert len(set(versions)) == len(versions)
    for line in lines:
        uid = line["resource"]["metadata"]["uid"]
        if line["type"] == "DELETED":
            del have[uid]
        else:
            assert (line["type"] == "MODIFIED") == (uid in have)
            have[uid] = line["resource"]
    listed = json.loads(cluster.ctl("get", "groups", "-o", "json"))["items"]
    assert have == {item["metadata"]["uid"]: item for item in listed}
