"""Paths of the API, and that nothing but our kinds is ever written."""

from __future__ import annotations

import pytest

from octelium.controller.kube.kinds import DEPLOYMENT, LEASE, OWNED, POD, kind_of


def test_paths() -> None:
    assert POD.path("ns") == "/api/v1/namespaces/ns/pods"
    assert DEPLOYMENT.path("ns", "a") == "/apis/apps/v1/namespaces/ns/deployments/a"
    assert LEASE.path("ns") == "/apis/coordination.k8s.io/v1/namespaces/ns/leases"


def test_our_kinds_are_known() -> None:
    for kind in OWNED:
        assert kind_of({"apiVersion": kind.api_version, "kind": kind.name}) is kind


@pytest.mark.parametrize(
    ("version", "name"),
    [("v1", "Pod"), ("v1", "Deployment"), ("rbac.authorization.k8s.io/v1", "Role"), ("", "")],
)
def test_nothing_else_is_written(version: str, name: str) -> None:
    with pytest.raises(ValueError, match="writes no"):
        kind_of({"apiVersion": version, "kind": name})
