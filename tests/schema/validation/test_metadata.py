from __future__ import annotations

from typing import Any

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.validation.metadata import check_metadata, is_uuid4


def check(kind: str = "User", **parts: Any) -> None:
    check_metadata(KINDS[kind], from_json(meta.Metadata, {"name": "alice", **parts}))


def test_good_metadata() -> None:
    check(
        uid="0d2b5d45-4b1a-4c1e-9a3f-3d2f2f9d8a11",
        displayName="é" * 50,
        description="two\nlines",
        labels={"team": "a1-b", "x2": "9"},
        annotations={"note": "any thing é"},
        tags=["aa", "bb"],
        picURL="anything",
    )
    check(labels={f"k{number}": "v" for number in range(64)})


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"name": ""}, "metadata.name"),
        ({"name": "a.b"}, "metadata.name"),
        ({"uid": "x"}, "metadata.uid"),
        ({"uid": "0d2b5d45-4b1a-1c1e-9a3f-3d2f2f9d8a11"}, "metadata.uid"),
        ({"uid": "{0d2b5d45-4b1a-4c1e-9a3f-3d2f2f9d8a11}"}, "metadata.uid"),
        ({"displayName": "é" * 51}, "metadata.displayName"),
        ({"displayName": "a\nb"}, "metadata.displayName"),
        ({"description": "x" * 1025}, "metadata.description"),
        ({"description": "\x1b"}, "metadata.description"),
        ({"labels": {"A": "b"}}, "metadata.labels.A"),
        ({"labels": {"aa": ""}}, "metadata.labels.aa"),
        ({"labels": {"aa": "B"}}, "metadata.labels.aa"),
        ({"labels": {"aa": "-b"}}, "metadata.labels.aa"),
        ({"labels": {"aa": "b" * 33}}, "metadata.labels.aa"),
        ({"labels": {f"k{number}": "v" for number in range(65)}}, "metadata.labels"),
        ({"annotations": {"a b": "x"}}, 'metadata.annotations["a b"]'),
        ({"annotations": {"aa": "x" * 64}}, "metadata.annotations.aa"),
        ({"annotations": {f"k{number}": "v" for number in range(65)}}, "metadata.annotations"),
        ({"tags": ["aa", "aa"]}, "metadata.tags[1]"),
        ({"tags": ["A"]}, "metadata.tags[0]"),
        ({"tags": [f"t{number}" for number in range(65)]}, "metadata.tags"),
    ],
)
def test_bad_metadata(parts: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(**parts)
    assert refused.value.path == path


def test_kinds_that_the_cluster_names() -> None:
    check("Session", name="somebody-with-a-very-long-name-of-forty-ch-abc123")
    check("ClusterConfig", name="")
    check("Service", name="wiki.prod")
    with pytest.raises(Invalid):
        check("Namespace", name="somebody-with-a-very-long-name-of-forty-ch-abc123")


def test_uuids() -> None:
    assert is_uuid4("0D2B5D45-4b1a-4c1e-9a3f-3d2f2f9d8a11")
    assert not is_uuid4("0d2b5d454b1a4c1e9a3f3d2f2f9d8a11")
    assert not is_uuid4("")
