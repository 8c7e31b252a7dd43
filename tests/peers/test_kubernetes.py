"""The emulated Kubernetes cluster does what its docstring says."""

from __future__ import annotations

import json
import ssl
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.peers.kubernetes import Failure, Fault, KubernetesApi, Rule
from tests.peers.kubernetes.quantities import canonical
from tests.peers.kubernetes.samples import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACE = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi() as made:
        yield made


def _client(api: KubernetesApi, token: str = "") -> httpx.Client:
    context = ssl.create_default_context(cafile=str(api.ca))
    headers = {"Authorization": f"Bearer {token or api.admin_token}"}
    return httpx.Client(
        base_url=api.url, verify=context, headers=headers, timeout=120, trust_env=False
    )


@pytest.fixture
def client(api: KubernetesApi) -> Iterator[httpx.Client]:
    with _client(api) as made:
        yield made


def _apply(client: httpx.Client, given: dict[str, Any], **query: str) -> httpx.Response:
    return client.patch(
        f"{_PLACE}/{given['metadata']['name']}",
        params={"fieldManager": "test-manager", **query},
        headers={"Content-Type": "application/apply-patch+yaml"},
        content=json.dumps(given),
    )


def test_an_apply_that_changes_nothing_keeps_the_version(
    api: KubernetesApi, client: httpx.Client
) -> None:
    assert _apply(client, deployment()).status_code == 201
    api.manager.settle()
    first = _apply(client, deployment()).json()["metadata"]["resourceVersion"]
    assert _apply(client, deployment()).json()["metadata"]["resourceVersion"] == first
    told = [one.changed for one in api.faults.writes(verb="apply", name="web")]
    assert told == [True, False, False]


def test_what_is_no_longer_applied_goes_unless_another_owns_it(
    api: KubernetesApi, client: httpx.Client
) -> None:
    given = deployment()
    given["metadata"]["annotations"] = {"mine": "1", "both": "2"}
    _apply(client, given)
    api.edit("Deployment", "web", {"metadata": {"annotations": {"theirs": "3"}}})
    other = {**deployment(), "metadata": {"name": "web", "annotations": {"both": "2"}}}
    assert _apply(client, other, fieldManager="other").status_code == 200
    left = _apply(client, deployment()).json()["metadata"]["annotations"]
    assert "mine" not in left
    assert (left["both"], left["theirs"]) == ("2", "3")


def test_pods_come_up_as_the_test_says(api: KubernetesApi) -> None:
    api.kubelet.behave("nginx:1", "crash", restarts=4)
    api.add(deployment(replicas=2))
    api.manager.settle()
    found = api.get("Deployment", "web")
    assert found is not None
    assert found["status"]["unavailableReplicas"] == 2
    states = [pod["status"]["containerStatuses"][0] for pod in api.all("Pod")]
    assert [one["restartCount"] for one in states] == [4, 4]
    assert {one["state"]["waiting"]["reason"] for one in states} == {"CrashLoopBackOff"}
    api.kubelet.behave("nginx:1", "ready")
    api.manager.settle()
    found = api.get("Deployment", "web")
    assert found is not None
    assert found["status"]["readyReplicas"] == 2
    api.delete("Deployment", "web")
    api.manager.settle()
    assert api.all("ReplicaSet") == api.all("Pod") == []


def test_a_roll_over_keeps_enough_pods(api: KubernetesApi) -> None:
    api.add(deployment(replicas=4))
    api.manager.settle()
    api.kubelet.behave("nginx:2", "unready")
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    api.edit("Deployment", "web", image)
    api.manager.settle()
    found = api.get("Deployment", "web")
    assert found is not None
    assert found["status"]["availableReplicas"] == 3
    assert found["status"]["replicas"] == 5
    api.kubelet.behave("nginx:2", "ready")
    api.manager.settle()
    assert {pod["spec"]["containers"][0]["image"] for pod in api.all("Pod")} == {"nginx:2"}
    assert len(api.all("Pod")) == 4


def test_pod_security_is_told_by_an_event_of_the_replica_set(api: KubernetesApi) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.add(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shut", "labels": labels}}
    )
    given = deployment()
    given["metadata"]["namespace"] = "shut"
    api.add(given)
    api.manager.settle()
    events = [one for one in api.all("Event", "shut") if one["reason"] == "FailedCreate"]
    assert events[0]["involvedObject"]["kind"] == "ReplicaSet"
    assert 'violates PodSecurity "restricted:latest"' in events[0]["message"]
    found = api.get("Deployment", "web", "shut")
    assert found is not None
    assert "ReplicaFailure" in {one["type"] for one in found["status"]["conditions"]}


def test_a_missing_secret_and_claim(api: KubernetesApi) -> None:
    given = deployment()
    pod = given["spec"]["template"]["spec"]
    reference = {"secretKeyRef": {"name": "s", "key": "k"}}
    pod["containers"][0]["env"] = [{"name": "A", "valueFrom": reference}]
    pod["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    api.add(given)
    api.manager.settle()
    assert "persistentvolumeclaim" in api.all("Pod")[0]["status"]["conditions"][0]["message"]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    api.add(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c"},
            "spec": claim,
        }
    )
    api.manager.settle()
    state = api.all("Pod")[0]["status"]["containerStatuses"][0]["state"]
    assert state["waiting"]["reason"] == "CreateContainerConfigError"
    data = {"k": "dg=="}
    api.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data})
    api.manager.settle()
    assert api.all("Pod")[0]["status"]["phase"] == "Running"


def test_faults_strike_as_often_as_they_should(api: KubernetesApi, client: httpx.Client) -> None:
    api.faults.add(Fault(code=500, verb="apply", times=1))
    assert _apply(client, deployment()).status_code == 500
    assert api.get("Deployment", "web") is None
    lost = api.faults.add(Fault(code=504, verb="write", times=1, after=True))
    assert _apply(client, deployment()).status_code == 504
    assert api.get("Deployment", "web") is not None
    assert lost.hits == 1
    api.faults.add(Fault(code=409, verb="apply"))
    assert _apply(client, deployment()).json()["reason"] == "Conflict"
    api.faults.add(Fault(code=429, verb="get", retry_after=3))
    busy = client.get(f"{_PLACE}/web")
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "3")
    assert client.get(f"{_PLACE}/web").status_code == 200


def test_away_and_back_with_the_same_objects(api: KubernetesApi) -> None:
    with _client(api) as client:
        _apply(client, deployment())
    api.stop()
    with _client(api) as client, pytest.raises(httpx.ConnectError):
        client.get(_PLACE)
    api.start()
    with _client(api) as client:
        assert client.get(f"{_PLACE}/web").status_code == 200


def _version(api: KubernetesApi) -> str:
    return str(api.store.version)


def test_a_watch_is_resumed_cut_and_expires() -> None:
    with KubernetesApi(controllers=False, history=3) as api, _client(api) as client:
        api.add(deployment("one"))
        before = _version(api)
        api.add(deployment("two"))
        query = {"watch": "1", "resourceVersion": before, "allowWatchBookmarks": "true"}
        with client.stream("GET", _PLACE, params=query) as answer:
            lines = answer.iter_lines()
            first = json.loads(next(lines))
            assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "two")
            api.send_bookmarks()
            mark = json.loads(next(lines))
            assert mark["type"] == "BOOKMARK"
            api.delete("Deployment", "two")
            assert json.loads(next(lines))["type"] == "DELETED"
            api.cut_watches()
            with pytest.raises(httpx.TransportError):
                next(lines)
        for name in "abcd":
            api.add(deployment(name))
        gone = client.get(_PLACE, params=query).text
        assert json.loads(gone)["object"]["code"] == 410


def test_a_watch_that_is_ended_ends_properly(api: KubernetesApi, client: httpx.Client) -> None:
    seen: list[str] = []
    begun = threading.Event()

    def follow() -> None:
        with client.stream("GET", _PLACE, params={"watch": "1"}) as answer:
            for line in answer.iter_lines():
                seen.append(json.loads(line)["type"])
                begun.set()

    api.add(deployment())
    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(120)
    api.end_watches()
    thread.join(120)
    assert not thread.is_alive()
    assert seen[0] == "ADDED"


def test_an_account_with_a_token_that_rotates(api: KubernetesApi) -> None:
    account = api.account("default", "controller")
    api.access.rules.append(Rule(account.user, "default", ("apps",), ("deployments",), ("list",)))
    old = (account.folder / "token").read_text()
    with _client(api, old) as client:
        assert client.get(_PLACE).status_code == 200
        assert client.get("/api/v1/namespaces/default/secrets").status_code == 403
        new = account.rotate(revoke=True)
        assert client.get(_PLACE).status_code == 401
    assert (account.folder / "token").read_text() == new != old
    assert (account.folder / "namespace").read_text() == "default"
    with _client(api, new) as client:
        assert client.get(_PLACE).status_code == 200


def test_a_quota_is_a_limit(api: KubernetesApi) -> None:
    quota = {"hard": {"configmaps": "1"}}
    api.add({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": quota})
    api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    with pytest.raises(Failure, match="exceeded quota: q"):
        api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("5000Mi", "5000Mi"),
        ("1000M", "1G"),
        ("0", "0"),
        ("1.5Gi", "1536Mi"),
        ("100", "100"),
        ("1000", "1k"),
        ("0.0001", "100u"),
    ],
)
def test_quantities(said: str, meant: str) -> None:
    assert canonical(said) == meant
