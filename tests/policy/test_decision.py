from __future__ import annotations

from dataclasses import FrozenInstanceError
from math import inf

import pytest
from google.protobuf.json_format import ParseDict

from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.replica.replica import ServiceEntry
from octelium.schema.pb import core_v1_pb2 as core


def test_reason_numbers_are_those_of_the_schema() -> None:
    official = core.AccessLogEntryCommonReasonType__.DESCRIPTOR.enum_types[0].values
    assert {value.name: value.number for value in official} == {
        reason.name: reason.value for reason in ReasonType
    }


def test_a_reason_in_json() -> None:
    assert Reason(ReasonType.TYPE_UNKNOWN_REASON).json() == {}
    reason = Reason(
        ReasonType.POLICY_MATCH,
        {"policyMatch": {"ruleName": "main", "policy": {"policyRef": {"name": "a"}}}},
    )
    message = ParseDict(reason.json(), core.AccessLogEntryCommonReason())
    assert message.details.policy_match.policy.policy_ref.name == "a"
    assert message.type == core.AccessLogEntryCommonReasonType__.POLICY_MATCH


def test_a_decision_cannot_be_changed() -> None:
    entry = ServiceEntry("u", "wiki.default", core.Service().SerializeToString())
    decision = Decision(Outcome.DENIED, Reason(ReasonType.NO_POLICY_MATCH), entry)
    assert not decision.allowed
    assert decision.expires == inf
    with pytest.raises(FrozenInstanceError):
        decision.outcome = Outcome.ALLOWED


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_one_outcome_allows(outcome: Outcome) -> None:
    entry = ServiceEntry("u", "wiki.default", core.Service().SerializeToString())
    decision = Decision(outcome, Reason(ReasonType.TYPE_UNKNOWN_REASON), entry)
    assert decision.allowed is (outcome is Outcome.ALLOWED)
