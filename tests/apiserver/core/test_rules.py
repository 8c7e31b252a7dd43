from __future__ import annotations

import pytest

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.service import DESCRIPTOR
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core


def test_every_public_kind_has_its_rules() -> None:
    public = {name for name, kind in KINDS.items() if not kind.internal}
    assert set(all_rules()) == public


def test_the_verbs_are_those_of_the_schema() -> None:
    methods = {method.name for method in DESCRIPTOR.methods}
    declared = {verb + name for name, rules in all_rules().items() for verb in rules.verbs}
    assert declared == methods - {"GenerateCredentialToken"}
    for name, rules in all_rules().items():
        assert ("Create" in rules.verbs) == KINDS[name].creatable


@pytest.mark.parametrize("name", sorted(all_rules()))
def test_the_list_filters_are_those_of_the_options(name: str) -> None:
    rules = all_rules()[name]
    options = getattr(core, f"List{name}Options", None)
    references = set() if options is None else set(options.DESCRIPTOR.fields_by_name) - {"common"}
    assert {item.option for item in rules.filters} == references
    status = rules.kind.message.DESCRIPTOR.fields_by_name["status"].message_type
    for item in rules.filters:
        assert item.index.removeprefix("status.") in {f.json_name for f in status.fields}
        assert item.kind in KINDS


def test_data_is_not_shown_and_the_original_keeps_it() -> None:
    secret = core.Secret()
    secret.data.value = "hunter2"
    secret.spec.data.value = "a certificate"
    shown = all_rules()["Secret"].shown(secret)
    assert not shown.HasField("data")
    assert shown.spec.data.value == "a certificate"
    assert secret.data.value == "hunter2"


def test_what_has_no_data_is_shown_as_it_is() -> None:
    user = core.User()
    assert all_rules()["User"].shown(user) is user


def test_stored_names() -> None:
    assert all_rules()["Service"].stored_name("wiki") == "wiki.default"
    assert all_rules()["Service"].stored_name("") == ""
    assert all_rules()["ClusterConfig"].stored_name("x") == "default"
    assert all_rules()["User"].stored_name("alice") == "alice"
