from __future__ import annotations

from typing import Any

import pytest

from octelium.cli.columns import COLUMNS, enum_name, policies, rows, without_empty, yes
from octelium.schema.kinds import KINDS, new
from octelium.schema.pb import core_v1_pb2 as core
from tests.cli.runner import resource
from tests.client.standin import NOW


@pytest.mark.parametrize(
    "kind", [k for k in KINDS.values() if not k.internal], ids=lambda k: k.name
)
def test_every_kind_has_a_table_even_of_empty_resources(kind: Any) -> None:
    headers, cells = rows(kind, [new(kind)], NOW)
    assert headers[0] == "NAME"
    assert "AGE" in headers
    assert len(cells) == 1
    assert [type(cell) for cell in cells[0]] == [str] * len(headers)


def test_columns_are_only_for_kinds_that_exist() -> None:
    assert set(COLUMNS) <= set(KINDS)


def test_cells_of_a_session() -> None:
    session = resource("Session", "ann-1", spec={"state": "ACTIVE"}, status={"type": "CLIENT"})
    session.status.user_ref.name = "ann"
    session.spec.expires_at.FromSeconds(int(NOW) + 7200)
    session.metadata.created_at.FromSeconds(int(NOW) - 90)
    headers, (cells,) = rows(KINDS["Session"], [session], NOW)
    assert dict(zip(headers, cells, strict=True)) == {
        "NAME": "ann-1",
        "USER": "ann",
        "TYPE": "CLIENT",
        "EXPIRES": "120m",
        "AGE": "90s",
        "STATE": "ACTIVE",
        "CONNECTED": "no",
    }


def test_addresses_of_a_service() -> None:
    service = core.Service()
    for ipv4, ipv6 in (("100.64.0.1", "fd00::1"), ("100.64.0.2", "")):
        address = service.status.addresses.add()
        address.dual_stack_ip.ipv4 = ipv4
        address.dual_stack_ip.ipv6 = ipv6
    _, (cells,) = rows(KINDS["Service"], [service], NOW)
    assert cells[-1] == "100.64.0.1,fd00::1,100.64.0.2"


def test_columns_with_nothing_in_them() -> None:
    headers = ["NAME", "URL", "EMAIL"]
    assert without_empty(headers, [["a", "", ""], ["b", "", ""]]) == (
        ["NAME", "EMAIL"],
        [["a", ""], ["b", ""]],
    )
    cells = [["a", "", ""], ["b", "https://b", ""]]
    assert without_empty(headers, cells) == (headers, cells)


def test_values_of_enums_that_are_not_known_are_shown_as_numbers() -> None:
    service = core.Service.FromString(b"\x22\x03\x10\xe7\x07")
    assert enum_name(core.ServiceSpec(), "mode") == ""
    service.spec.SetInParent()
    service.spec.MergeFromString(bytes([core.ServiceSpec.MODE_FIELD_NUMBER << 3]) + b"\xe7\x07")
    assert enum_name(service.spec, "mode") == "999"
    assert (yes(True), yes(False)) == ("yes", "no")


def test_policies_of_a_resource() -> None:
    own = {"name": "grant-ann", "spec": {"rules": []}}
    authorization = {"policies": ["staff"], "inlinePolicies": [own]}
    assert policies(resource("Group", "ops", spec={"authorization": authorization})) == (
        "staff,+1 inline"
    )
    assert policies(resource("Group", "ops")) == ""
