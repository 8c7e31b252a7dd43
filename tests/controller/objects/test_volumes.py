from __future__ import annotations

from octelium.controller.objects.volumes import keeps_data, mounts_of, volumes_of
from tests.controller.objects.samples import CONTAINERS, managed


def test_empty_directories() -> None:
    container = managed(CONTAINERS["empty directory"]).container
    assert volumes_of(container) == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "of", "emptyDir": {"sizeLimit": "2Gi"}},
    ]
    assert mounts_of(container) == [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "of", "mountPath": "/a b", "subPath": "x/y", "readOnly": True},
    ]
    assert not keeps_data(container)


def test_claims() -> None:
    container = managed(CONTAINERS["claim"]).container
    assert volumes_of(container) == [
        {"name": "tmp", "persistentVolumeClaim": {"claimName": "data.v1"}}
    ]
    assert keeps_data(container)


def test_there_may_be_none() -> None:
    container = managed({}).container
    assert (volumes_of(container), mounts_of(container)) == ([], [])
    assert not keeps_data(container)
