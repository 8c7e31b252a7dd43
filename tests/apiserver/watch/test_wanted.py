from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.watch.wanted import read_wanted
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import NotFound

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_each_kind_has_a_method(api: Harness) -> None:
    request = ext.WatchRequest(kinds=["Service", "ClusterConfig", "Service"])
    assert read_wanted(request, api.resources).methods == {
        "Service": "/octelium.api.main.core.v1.MainService/ListService",
        "ClusterConfig": "/octelium.api.main.core.v1.MainService/GetClusterConfig",
    }


async def test_what_is_referred_to_is_found_by_name_or_uid(api: Harness) -> None:
    namespace = api.resources.get("Namespace", name="default")
    for reference in (
        meta.ObjectReference(name="default"),
        meta.ObjectReference(uid=namespace.metadata.uid),
        meta.ObjectReference(name="default", uid="not looked at"),
    ):
        request = ext.WatchRequest(kinds=["Service"], namespace_ref=reference)
        wanted = read_wanted(request, api.resources)
        value = ("status.namespaceRef", namespace.metadata.uid)
        assert wanted.values == {"Service": frozenset({value})}


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (ext.WatchRequest(), "nothing to watch"),
        (ext.WatchRequest(kinds=["Servise"]), "Service"),
        (ext.WatchRequest(kinds=["Group", "x" * 1000]), "is no kind"),
        (
            ext.WatchRequest(kinds=["Group"], region_ref=meta.ObjectReference(name="default")),
            "groups cannot be listed by region",
        ),
        (ext.WatchRequest(kinds=["Service"], namespace_ref=meta.ObjectReference()), "which"),
    ],
)
async def test_what_cannot_be_watched(api: Harness, request_: ext.WatchRequest, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_wanted(request_, api.resources)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300


async def test_what_does_not_exist_is_not_referred_to(api: Harness) -> None:
    request = ext.WatchRequest(kinds=["Session"], user_ref=meta.ObjectReference(name="nobody"))
    with pytest.raises(NotFound):
        read_wanted(request, api.resources)
