from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.managed import Managed
from octelium.controller.objects.names import key_of, labels_of, object_name, selector
from octelium.schema.pb import core_v1_pb2 as core


def of(service: str, config: str = "", uid: str = "u-1") -> Managed:
    return Managed(uid, service, config, "TCP", core.ServiceSpecConfigUpstreamContainer(), {})


def test_names_are_readable() -> None:
    assert re.fullmatch(
        r"upstream-svc-web-default-default-[0-9a-f]{16}", object_name(of("web.default"))
    )
    assert re.fullmatch(
        r"upstream-svc-web-prod-blue-[0-9a-f]{16}", object_name(of("web.prod", "blue"))
    )


@given(
    st.lists(
        st.tuples(
            st.from_regex(
                r"[a-z][a-z0-9-]{0,38}[a-z0-9]\.[a-z][a-z0-9-]{0,38}[a-z0-9]", fullmatch=True
            ),
            st.from_regex(r"|[a-z][a-z0-9-]{0,38}[a-z0-9]", fullmatch=True),
            st.uuids().map(str),
        ),
        min_size=2,
        max_size=5,
        unique_by=lambda entry: (entry[1], entry[2]),
    )
)
def test_names_are_labels_and_never_collide(entries: list[tuple[str, str, str]]) -> None:
    names = [object_name(of(*entry)) for entry in entries]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"upstream-svc-[a-z0-9-]{1,33}-[0-9a-f]{16}", name)
        assert len(name) <= 63


def test_services_whose_dashes_and_dots_look_alike_differ() -> None:
    assert object_name(of("a-b.c", uid="u-1")) != object_name(of("a.b-c", uid="u-2"))
    assert object_name(of("a.b", "c")) != object_name(of("a.b", "d"))


def test_labels_tell_the_container() -> None:
    for key in (("u-1", ""), ("u-1", "blue"), ("u-1", "default")):
        labels = labels_of("c-1", key)
        assert key_of(labels) == key
        assert selector("c-1", key).items() <= labels.items()
    assert key_of({}) is None
    assert key_of({"octelium.com/svc-uid": "u"}) is None


@pytest.mark.parametrize(
    ("cluster", "uid", "config"),
    [("", "u", ""), ("c", "", ""), ("c", "u", "a b"), ("-c", "u", ""), ("c" * 64, "u", "")],
)
def test_what_is_no_label_is_refused(cluster: str, uid: str, config: str) -> None:
    with pytest.raises(ValueError, match="not the value of a label"):
        selector(cluster, (uid, config))
