from __future__ import annotations

from octelium.apiserver.apply.comparison import changed_fields, data_differs, declared, differ
from octelium.schema.pb import core_v1_pb2 as core
from tests.apiserver.harness import resource


def copy_of(message: core.User) -> core.User:
    return core.User.FromString(message.SerializeToString())


def test_only_what_callers_declare_counts() -> None:
    old = resource("User", "alice", spec={"type": "HUMAN"})
    new = copy_of(old)
    new.metadata.uid = "u"
    new.metadata.resource_version = "v"
    new.metadata.is_system = True
    new.metadata.system_labels["x"] = "y"
    new.status.is_locked = True
    assert not differ(old, new)
    assert changed_fields(old, new) == []
    new.metadata.labels["a"] = "b"
    new.spec.email = "alice@example.com"
    assert differ(old, new)
    assert set(changed_fields(old, new)) == {"metadata.labels", "spec.email"}


def test_a_spec_given_in_another_order_is_the_same() -> None:
    old = resource("Group", "ops", spec={"attrs": {"a": 1, "b": {"c": [1, 2]}}})
    new = resource("Group", "ops", spec={"attrs": {"b": {"c": [1, 2]}, "a": 1}})
    assert not differ(old, new)


def test_data_differs_without_being_told() -> None:
    old = resource("Secret", "key", data={"value": "hunter2"})
    new = resource("Secret", "key", data={"value": "hunter3"})
    assert data_differs(old, new)
    assert differ(old, new)
    assert changed_fields(old, new) == ["data"]
    assert not data_differs(old, old)
    assert not declared(old).HasField("data")


def test_maps_in_data_are_compared_as_maps() -> None:
    old = resource("Config", "geo", data={"dataMap": {"map": {"a": "AQ==", "b": "Ag=="}}})
    new = resource("Config", "geo", data={"dataMap": {"map": {"b": "Ag==", "a": "AQ=="}}})
    assert not data_differs(old, new)


def test_kinds_without_data_have_none_to_compare() -> None:
    assert not data_differs(resource("Group", "ops"), resource("Group", "dev"))
