from __future__ import annotations

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.kinds import APPLY_ORDER, KINDS, find_kind, kind_of, new
from octelium.schema.pb import core_v1_pb2 as core


def test_every_resource_of_the_core_api_is_a_kind() -> None:
    """A resource is a message with metadata, spec and status."""
    resources = {
        name
        for name, descriptor in core.DESCRIPTOR.message_types_by_name.items()
        if {"metadata", "spec", "status"} <= set(descriptor.fields_by_name)
    }
    ours = {"Invitation", "ContainerState"}
    assert set(KINDS) - ours == resources
    assert all(KINDS[name].internal for name in ours)


def test_an_entry_tells_the_truth_about_its_messages() -> None:
    methods = {method.name for method in core.DESCRIPTOR.services_by_name["MainService"].methods}
    for kind in KINDS.values():
        assert kind.message.DESCRIPTOR.name == kind.name
        assert kind.has_data == ("data" in kind.message.DESCRIPTOR.fields_by_name)
        assert kind.creatable == (f"Create{kind.name}" in methods)
        if kind.internal:
            assert f"List{kind.name}" not in methods
        elif kind.list_message is not None:
            items = kind.list_message.DESCRIPTOR.fields_by_name["items"]
            assert items.message_type.name == kind.name
            assert f"List{kind.name}" in methods
        else:
            assert kind.singleton
            assert f"List{kind.name}" not in methods
        if kind.creatable:
            assert kind.declarable


def test_what_is_referred_to_is_applied_first() -> None:
    order = [kind.name for kind in APPLY_ORDER]
    for first, then in [
        ("Secret", "IdentityProvider"),
        ("Secret", "Service"),
        ("Config", "ClusterConfig"),
        ("Policy", "Namespace"),
        ("IdentityProvider", "User"),
        ("Namespace", "Service"),
        ("Group", "User"),
        ("User", "Service"),
        ("User", "Credential"),
    ]:
        assert order.index(first) < order.index(then)
    assert len({kind.apply_order for kind in APPLY_ORDER}) == len(KINDS)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("service", "Service"),
        ("Services", "Service"),
        ("svc", "Service"),
        ("IDP", "IdentityProvider"),
        ("cc", "ClusterConfig"),
        ("cluster-config", "ClusterConfig"),
        ("authn", "Authenticator"),
        ("rgn", "Region"),
        ("policies", "Policy"),
        ("sess", "Session"),
    ],
)
def test_words_of_command_lines(word: str, name: str) -> None:
    assert find_kind(word).name == name


def test_no_word_means_two_kinds() -> None:
    words = [
        word
        for kind in KINDS.values()
        for word in {kind.command, kind.plural, *kind.aliases}
        if not kind.internal
    ]
    assert len(words) == len(set(words))


def test_an_unknown_word_is_refused_with_a_suggestion() -> None:
    with pytest.raises(Invalid, match="did you mean service"):
        find_kind("sevice")
    with pytest.raises(Invalid, match=r"known kinds: .*identityprovider"):
        find_kind("zzzzzz")
    with pytest.raises(Invalid):
        find_kind("policytrigger")


def test_new_and_kind_of() -> None:
    for kind in KINDS.values():
        made = new(kind)
        assert (made.api_version, made.kind) == (kind.api, kind.name)
        assert kind_of(made) is kind
        package = kind.message.DESCRIPTOR.file.package.replace(".", "/")
        assert package.endswith(kind.api)
    with pytest.raises(KeyError):
        kind_of(core.UserSpec())
