"""API servers of Kubernetes that the manifests are tried on: the emulated one, and a real one where
KUBE_APISERVER and ETCD name its programs.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.peers.kubernetes import KubernetesApi
from tests.peers.kubernetes.kubeconfig import kubeconfig
from tests.peers.kubernetes.real import TOKENS, binaries, real_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Object = dict[str, Any]

_PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "NetworkPolicy": "networkpolicies",
    "ConfigMap": "configmaps",
    "Service": "services",
    "StatefulSet": "statefulsets",
    "Pod": "pods",
    "PriorityClass": "priorityclasses",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


@dataclass(frozen=True)
class ApiServer:
    """One that answers at `url`. `token_of` gives a service account's token."""

    url: str
    ca: Path
    token: str
    token_of: Callable[[ApiServer, str, str], str]
    kubeconfig: Path

    def ask(
        self, method: str, path: str, body: Object | None = None, *, token: str = "", sort: str = ""
    ) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        headers["Content-Type"] = sort or "application/json"
        content = json.dumps(body).encode() if body is not None else None
        trusted = ssl.create_default_context(cafile=str(self.ca))
        with httpx.Client(verify=trusted, timeout=120) as client:
            return client.request(method, self.url + path, headers=headers, content=content)

    def apply(self, given: Object) -> httpx.Response:
        """Server-side apply, as bootstrap.sh has it."""
        options = "fieldManager=octelium-bootstrap&force=true&fieldValidation=Strict"
        path = f"{place(given)}/{given['metadata']['name']}?{options}"
        return self.ask("PATCH", path, given, sort="application/apply-patch+yaml")


def place(given: Object) -> str:
    """The path of the collection that an object is in."""
    version, plural = given["apiVersion"], _PLURALS[given["kind"]]
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = given["metadata"].get("namespace", "")
    return f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}"


@contextmanager
def emulated() -> Iterator[ApiServer]:
    """The emulated one, without controllers."""
    with KubernetesApi(controllers=False) as api:

        def token_of(_server: ApiServer, namespace: str, name: str) -> str:
            return api.account(namespace, name).token

        yield ApiServer(api.url, api.ca, api.admin_token, token_of, api.kubeconfig())


@contextmanager
def real(folder: Path) -> Iterator[ApiServer]:
    """A real one. Raises RuntimeError if it does not start."""
    named = binaries()
    assert named is not None
    with real_api(folder, *named) as (url, ca):
        token = TOKENS["admin"]
        config = kubeconfig(folder, url, ca, token, "default")
        yield ApiServer(url, ca, token, _requested, config)


def _requested(server: ApiServer, namespace: str, name: str) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token: str = server.ask("POST", path, body).json()["status"]["token"]
    return token


def kubectl() -> str:
    """The path of kubectl 1.31 or newer, empty where there is none."""
    path = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not path:
        return ""
    words = [path, "version", "--client", "--output=json"]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    minor = json.loads(said)["clientVersion"]["minor"] if said else "0"
    return path if int(minor.rstrip("+")) >= 31 else ""
