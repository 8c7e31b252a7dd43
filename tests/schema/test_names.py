from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema import names
from octelium.schema.errors import Invalid
from octelium.schema.kinds import KINDS

LABELS = st.from_regex(names.LABEL, fullmatch=True)


@pytest.mark.parametrize(
    "name", ["", "A", "a", "a--b", "-ab", "ab-", "a" * 41, "1a", "aé", "a b", "a_b", ".a", "ab."]
)
@pytest.mark.parametrize("kind", ["User", "Service", "Policy"])
def test_bad_names(kind: str, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.check_name(KINDS[kind], name)
    assert refused.value.path == "metadata.name"


@pytest.mark.parametrize(
    ("kind", "name"),
    [("User", "a1"), ("User", "a" * 40), ("Service", "ab.cd"), ("Policy", "aa.bb.cc.dd.ee.ff")],
)
def test_good_names(kind: str, name: str) -> None:
    names.check_name(KINDS[kind], name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("User", "aa.bb"),
        ("Namespace", "aa.bb"),
        ("Service", "aa.bb.cc"),
        ("Policy", "aa.bb.cc.dd.ee.ff.gg"),
        ("Policy", ".".join(["a" * 40] * 4)),
    ],
)
def test_too_many_labels_or_characters(kind: str, name: str) -> None:
    with pytest.raises(Invalid):
        names.check_name(KINDS[kind], name)


@given(LABELS)
def test_a_label_has_no_double_hyphen_and_fits(label: str) -> None:
    assert names.is_label(label)
    assert 2 <= len(label) <= 40
    assert "--" not in label
    assert names.is_stored_name(label)


def test_stored_names() -> None:
    assert names.is_stored_name("sys:signing-key")
    assert names.is_stored_name("wiki.default")
    assert not names.is_stored_name("a")
    assert not names.is_stored_name("aa..bb")
    assert not names.is_stored_name("x" * 141)
    assert not names.is_stored_name(".".join(["aa"] * 8))


@given(LABELS, LABELS)
def test_service_names_split_as_they_were_joined(name: str, namespace: str) -> None:
    assert names.split_service_name(f"{name}.{namespace}") == (name, namespace)
    assert names.split_service_name(name) == (name, "default")
    assert names.full_service_name(names.full_service_name(name)) == f"{name}.default"


@pytest.mark.parametrize(
    ("name", "primary", "additional", "hosts", "private"),
    [
        ("default.default", "", ["default.default"], ["d.org", "default.default.d.org"],
         "default.local.d.org"),
        ("wiki.default", "wiki", ["wiki.default"], ["wiki.d.org", "wiki.default.d.org"],
         "wiki.local.d.org"),
        ("default.prod", "prod", ["default.prod"], ["prod.d.org", "default.prod.d.org"],
         "default.prod.local.d.org"),
        ("wiki.prod", "wiki.prod", [], ["wiki.prod.d.org"], "wiki.prod.local.d.org"),
    ],
)  # fmt: skip
def test_host_names(
    name: str, primary: str, additional: list[str], hosts: list[str], private: str
) -> None:
    assert names.hostnames(*names.split_service_name(name)) == (primary, additional)
    assert list(names.public_hosts(name, "d.org")) == hosts
    assert names.public_fqdn(name, "d.org") == hosts[0]
    assert names.private_fqdn(name, "d.org") == private


def test_the_short_form_of_a_name_has_the_same_hosts() -> None:
    assert names.public_hosts("wiki", "d.org") == names.public_hosts("wiki.default", "d.org")


def test_parents_of_policies() -> None:
    assert names.parent_policy_name("eu.staff.all") == "staff.all"
    assert names.parent_policy_name("staff") is None


@pytest.mark.parametrize(
    ("kind", "name", "reserved"),
    [
        ("Secret", "crt-ns-default", True),
        ("Secret", "crt-ns-zz", True),
        ("Secret", "crt-ns", False),
        ("Secret", "crt-nsx", False),
        ("Config", "crt-ns-default", False),
        ("Secret", "sys:signing-key", True),
        ("Config", "sys:conn-info", True),
        ("Secret", "system", False),
    ],
)
def test_names_of_the_cluster_itself(kind: str, name: str, *, reserved: bool) -> None:
    assert names.is_reserved(kind, name) == reserved
    if not reserved:
        names.check_not_reserved(KINDS[kind], name)
        return
    with pytest.raises(Invalid) as refused:
        names.check_not_reserved(KINDS[kind], name)
    assert refused.value.path == "metadata.name"
    assert ("octops cert" in str(refused.value)) == name.startswith("crt-ns-")
