"""The manifests of k3s/, as the tests read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tests.install.releases import ROOT

if TYPE_CHECKING:
    Object = dict[str, Any]

K3S = ROOT / "k3s"
VERSIONS = ("1.29", "1.30", "1.31", "1.32", "1.33", "1.34")
WRITTEN = ("create", "delete", "get", "list", "patch", "watch")
READ = ("list", "watch")
RIGHTS = {
    ("apps", "deployments"): WRITTEN,
    ("", "services"): WRITTEN,
    ("", "secrets"): WRITTEN,
    ("networking.k8s.io", "networkpolicies"): WRITTEN,
    ("", "pods"): READ,
    ("", "events"): READ,
    ("coordination.k8s.io", "leases"): ("create", "get", "update"),
}
"""All that the controller may do, in `octelium-upstreams`."""


def manifests() -> list[Object]:
    """Everything that the kustomization names."""
    named = yaml.safe_load((K3S / "kustomization.yaml").read_text())["resources"]
    return [each for name in named for each in yaml.safe_load_all((K3S / name).read_text())]


def of_kind(kind: str) -> list[Object]:
    return [each for each in manifests() if each["kind"] == kind]


def pod_spec() -> Object:
    (workload,) = of_kind("StatefulSet")
    spec: Object = workload["spec"]["template"]["spec"]
    return spec
