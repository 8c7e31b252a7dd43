from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import NOW, RefusedError

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def diagnosis(*parts: tuple[str, str, str, str], off: float = 0) -> ext.DiagnoseResponse:
    made = ext.DiagnoseResponse()
    made.now.FromNanoseconds(int((NOW + off) * 1e9))
    for name, outcome, detail, remedy in parts:
        made.parts.add(name=name, outcome=outcome, detail=detail, remedy=remedy)
    return made


def test_a_cluster_that_works(terminal: Runner, cluster: StandIn) -> None:
    cluster.insight["Diagnose"] = diagnosis(("control", "ok", "it answers this", ""))
    assert terminal.works("doctor", "wiki") == (
        "ok       clock here  it agrees with the Cluster's\n"
        "ok       control     it answers this\n"
        "\n"
        "Everything that was checked works.\n"
    )
    assert cluster.calls[-1].request.service == "wiki"


def test_the_first_broken_part_is_named(terminal: Runner, cluster: StandIn) -> None:
    cluster.insight["Diagnose"] = diagnosis(
        ("control", "ok", "it answers this", ""),
        ("clock", "warn", "nothing keeps it", "run chrony"),
        ("gateway", "fail", "the gateway is silent", "read the log"),
        ("store", "of-tomorrow", "unknown", ""),
    )
    result = terminal.ctl("doctor", "-o", "json")
    assert result.code == 1
    told = json.loads(result.out)
    assert told["broken"] == "gateway"
    assert [each["outcome"] for each in told["checks"]] == ["ok", "ok", "warn", "fail", "skipped"]
    text = terminal.ctl("doctor")
    assert text.code == 1
    assert text.out.endswith(
        "The first broken link is gateway: the gateway is silent. To do: read the log.\n"
    )


@pytest.mark.parametrize(("off", "outcome"), [(59, "ok"), (61, "warn"), (-61, "warn")])
def test_clocks(terminal: Runner, cluster: StandIn, off: float, outcome: str) -> None:
    cluster.insight["Diagnose"] = diagnosis(off=off)
    told = json.loads(terminal.works("doctor", "-o", "json"))
    assert told["checks"][0]["outcome"] == outcome


def test_who_may_not(terminal: Runner, cluster: StandIn) -> None:
    cluster.failures["Diagnose"] = [RefusedError("PERMISSION_DENIED", "no")]
    result = terminal.ctl("doctor")
    assert (result.code, result.out) == (1, "")
    assert "PermissionDenied" in result.err


def test_a_cluster_of_another_make(terminal: Runner, cluster: StandIn) -> None:
    cluster.foreign = True
    result = terminal.ctl("doctor")
    assert result.code == 1
    assert "has no doctor" in result.err
