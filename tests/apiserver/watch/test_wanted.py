from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.watch.wanted import Wanted, read_methods, read_wanted
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import NotFound, PermissionDenied

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def test_each_kind_has_a_method() -> None:
    request = ext.WatchRequest(kinds=["Service", "ClusterConfig", "Service"])
    assert read_methods(request) == {
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


def read_both(request: ext.WatchRequest, api: Harness) -> Wanted:
    read_methods(request)
    return read_wanted(request, api.resources)


TEXTS = st.one_of(st.sampled_from([*all_rules(), "default", "root"]), st.text(max_size=70))
REFERENCES = st.none() | st.builds(meta.ObjectReference, name=TEXTS, uid=TEXTS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    kinds=st.lists(TEXTS, max_size=4),
    user=REFERENCES,
    namespace=REFERENCES,
    region=REFERENCES,
)
async def test_whatever_is_asked_is_wanted_or_refused(
    api: Harness, kinds: list[str], user: Any, namespace: Any, region: Any
) -> None:
    request = ext.WatchRequest(
        kinds=kinds, user_ref=user, namespace_ref=namespace, region_ref=region
    )
    try:
        wanted = read_both(request, api)
    except (Invalid, NotFound, PermissionDenied):
        return
    assert set(wanted.values) == set(kinds)
    given = sum(reference is not None for reference in (user, namespace, region))
    assert all(len(values) == given for values in wanted.values.values())


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
        (ext.WatchRequest(kinds=["Group"] * 16), "name each once"),
        (ext.WatchRequest(kinds=["Service"], namespace_ref=meta.ObjectReference()), "which"),
    ],
)
async def test_what_cannot_be_watched(api: Harness, request_: ext.WatchRequest, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_both(request_, api)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300


async def test_what_does_not_exist_is_not_referred_to(api: Harness) -> None:
    request = ext.WatchRequest(kinds=["Session"], user_ref=meta.ObjectReference(name="nobody"))
    with pytest.raises(NotFound):
        read_wanted(request, api.resources)
