from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import httpx

from octelium.cluster.certificates import cluster_names, issue, make_authority
from octelium.replica.frames import FrameReader, FrameType, frame
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import DOMAIN, wait_for

if TYPE_CHECKING:
    from tests.cluster.conftest import SourceCluster

_COUNTERS = b'{"octelium_replica_revision": 7}'


def test_health_and_metrics_are_on_the_admin_address_only(running: SourceCluster) -> None:
    admin = f"http://127.0.0.1:{running.admin}"

    def well() -> bool:
        checks: dict[str, str] = httpx.get(f"{admin}/readyz").json()["checks"]
        return checks == {"workers": "ok", "log": "ok"}

    wait_for(well)

    def counted() -> None:
        text = httpx.get(f"{admin}/metrics").text
        assert 'octelium_store_revision{process="control"}' in text
        assert 'octelium_replica_revision{process="worker-0"}' in text

    wait_for(counted, 60)
    with running.http() as http:
        for path in ("/readyz", "/metrics", "/healthz", "/certificate"):
            assert http.get(running.url("", path), follow_redirects=False).status_code == 303


def test_counters_are_taken_from_workers_only(running: SourceCluster) -> None:
    """Whoever connects could fill control's memory with names otherwise."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(60)
        stream.connect(str(running.data / "run/feed.sock"))
        hello = feed.Hello(role="gateway", worker="nobody", reader=b"r")
        batch = feed.Batch(number=1, topic="counters", payload=_COUNTERS)
        for frame_type, message in ((FrameType.HELLO, hello), (FrameType.BATCH, batch)):
            stream.sendall(frame(frame_type, message.SerializeToString()))
        frames = FrameReader()
        while FrameType.ACK not in [kind for kind, _ in frames.feed(stream.recv(65536))]:
            pass
    text = httpx.get(f"http://127.0.0.1:{running.admin}/metrics").text
    assert 'process="control"' in text
    assert 'process="nobody"' not in text


def test_sockets_and_data_are_private(running: SourceCluster) -> None:
    for path in (running.data / "run").iterdir():
        assert path.stat().st_mode & 0o177 == 0, path
    assert (running.data / "store").stat().st_mode & 0o077 == 0
    assert (running.data / "logs.db").stat().st_mode & 0o077 == 0


def is_trusted(running: SourceCluster) -> bool:
    """Whether who comes now trusts the certificate that is shown."""
    with running.http() as http:
        try:
            return http.get(running.url("", "/login")).status_code == 200
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY" not in str(error):
                raise
            return False


def test_a_certificate_is_replaced_while_connections_go_on(running: SourceCluster) -> None:
    authority = make_authority(DOMAIN)
    pair = issue(authority, cluster_names(DOMAIN))
    transport = httpx.HTTPTransport(uds=str(running.data / "run/admin.sock"))
    with running.http() as before, httpx.Client(transport=transport) as admin:
        assert before.get(running.url("", "/login")).status_code == 200
        body = {"namespace": "default", "certificate": pair.chain, "key": pair.key}
        bad = {**body, "namespace": "nowhere"}
        assert admin.put("http://local/certificate", json=bad).status_code == 400
        assert admin.put("http://local/certificate", json=body).status_code == 200
        assert before.get(running.url("", "/login")).status_code == 200
        wait_for(lambda: not is_trusted(running))
    (running.data / "ca.pem").write_text(authority.chain)
    assert is_trusted(running)
    with httpx.Client(transport=transport) as admin:
        other = {"namespace": "default", "own": True, "domain": "other.example"}
        assert admin.put("http://local/certificate", json=other).status_code == 400
        own = {"namespace": "default", "own": True, "domain": DOMAIN}
        assert admin.put("http://local/certificate", json=own).status_code == 200
    assert (running.data / "ca.pem").read_text() != authority.chain
    wait_for(lambda: is_trusted(running))


def test_the_owner_of_the_machine_finds_a_way_in(running: SourceCluster) -> None:
    transport = httpx.HTTPTransport(uds=str(running.data / "run/admin.sock"))
    with httpx.Client(transport=transport) as admin:
        made = admin.post("http://local/token").json()
    assert made["endpoint"] == f"127.0.0.1:{running.port}"
    assert made["domain"] == DOMAIN
    running.token = made["token"]
    running.api()


def test_a_new_namespace_has_a_certificate(running: SourceCluster) -> None:
    api = running.api()
    namespace = core.Namespace(metadata=meta.Metadata(name="prod"))
    namespace.spec.SetInParent()
    api.core("CreateNamespace", namespace)

    def trusted() -> bool:
        with running.http() as http:
            return http.get(running.url("wiki.prod")).status_code == 404

    wait_for(trusted, 60)


def test_the_first_token_is_saved_for_its_owner_alone(running: SourceCluster) -> None:
    saved = running.folder / "token"
    assert saved.stat().st_mode & 0o077 == 0
    token = saved.read_text().strip()
    assert len(token) > 100
    assert token not in running.log.read_text()


def test_who_is_shut_out_stands_in_the_authentication_log(running: SourceCluster) -> None:
    running.login()
    user = {"kind": "User", "metadata": {"name": "shut-out"}, "spec": {"type": "WORKLOAD"}}
    running.apply(user)
    running.apply({**user, "spec": {"type": "WORKLOAD", "isDisabled": True}})
    running.ctl("delete", "user", "shut-out")
    lines = running.ctl("logs", "auth", "--user", "shut-out", "-o", "json").splitlines()
    told = [(one["way"], one["reason"]) for one in map(json.loads, lines)]
    assert [way for way, _ in told] == ["account", "account"]
    assert told[0][1].startswith("root (Session root-")
    assert told[0][1].endswith(" has disabled User shut-out")
    assert told[1][1].endswith(" has deleted User shut-out and what belongs to it")
