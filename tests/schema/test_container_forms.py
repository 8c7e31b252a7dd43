from __future__ import annotations

from typing import Any

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def refused(**container: Any) -> str:
    value = {"kind": "Service", "spec": {"config": {"upstream": {"container": container}}}}
    with pytest.raises(Invalid) as caught:
        from_json(core.Service, value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("container", "remedy"),
    [
        ({"env": ["KEY=a b"]}, "write {name: KEY, value: 'a b'}"),
        ({"env": ["odd"]}, "write {name: NAME, value: 'VALUE'}"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "write fromSecret: NAME, or kubernetesSec"),
        ({"resourceLimit": {"memory": "128Mi"}}, "write {megabytes: 128}"),
        ({"resourceLimit": {"memory": "2Gi"}}, "write {megabytes: 2048}"),
        ({"resourceLimit": {"memory": "much"}}, "write {megabytes: 128}"),
        ({"resourceLimit": {"cpu": "250m"}}, "write {millicores: 250}"),
        ({"resourceLimit": {"cpu": 2}}, "write {millicores: 2000}"),
        ({"volumes": [{"name": "a", "persistentVolumeClaim": "b"}]}, "write {name: b}"),
        ({"volumes": [{"persistentVolumeClaim": {"claimName": "b"}}]}, "write name: NAME"),
        ({"ports": [80]}, "write port: NUMBER"),
        ({"resources": {}}, "write resourceLimit:"),
        # What nobody knows keeps its usual words.
        ({"readinessProbe": {"httpGet": "/"}}, "write KEY: VALUE pairs"),
        ({"env": [[]]}, "write KEY: VALUE pairs"),
        ({"prt": 80}, "did you mean port?"),
    ],
)
def test_remedies(container: dict[str, Any], remedy: str) -> None:
    assert remedy in refused(**container)


def test_long_texts_are_cut() -> None:
    assert len(refused(env=["A=" + "x" * 9999])) < 400


def test_other_messages_have_their_own_words() -> None:
    with pytest.raises(Invalid, match="unknown field"):
        from_json(core.User, {"kind": "User", "spec": {"valueFrom": 1}})
