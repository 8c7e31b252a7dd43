from __future__ import annotations

from octelium.replica.entries import ClusterConfigEntry, PolicyTriggerEntry
from octelium.replica.triggers import triggers_of
from octelium.schema.pb import core_v1_pb2 as core


def cluster_config(*policies: str) -> ClusterConfigEntry:
    message = core.ClusterConfig()
    message.spec.authorization.policies.extend(policies)
    return ClusterConfigEntry("cc", "default", message.SerializeToString())


def policy_trigger(uid: str, *, disabled: bool = False) -> PolicyTriggerEntry:
    message = core.PolicyTrigger()
    message.status.is_disabled = disabled
    message.status.policies.append("p")
    message.status.inline_policies.add(name="inline")
    message.status.pre_condition.user_ref.uid = "u"
    return PolicyTriggerEntry(uid, uid, message.SerializeToString())


def test_the_cluster_configuration_is_a_trigger_that_always_holds() -> None:
    entry = cluster_config("deny-all")
    [trigger] = triggers_of(entry, [])
    assert trigger.source is entry
    assert trigger.pre_condition.match_any
    assert trigger.policies == ("deny-all",)


def test_a_cluster_configuration_without_policies_is_none() -> None:
    assert triggers_of(cluster_config(), []) == ()
    assert triggers_of(None, []) == ()


def test_disabled_triggers_are_left_out() -> None:
    enabled = policy_trigger("a")
    [trigger] = triggers_of(None, [enabled, policy_trigger("b", disabled=True)])
    assert trigger.source is enabled
    assert trigger.pre_condition.user_ref.uid == "u"
    assert [inline.name for inline in trigger.inline_policies] == ["inline"]
