from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.policy.test_accesses import ACCESSES

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_services_of_a_user(cluster: StandIn, terminal: Runner) -> None:
    cluster.insight["ListAccess"] = ext.ListAccessResponse(items=ACCESSES)
    assert terminal.works("policy", "what", "ann").startswith("SERVICE ")
    assert cluster.calls[-1].request == ext.ListAccessRequest(user="ann")
    form = json.loads(terminal.works("policy", "what", "ann", "--verdict", "refused", "-o", "json"))
    assert [item["service"] for item in form] == ["db.default"]


def test_services_of_the_cluster_are_shown_if_one_asks(cluster: StandIn, terminal: Runner) -> None:
    own = ext.Access(user="ann", service="portal.default", why="Policy p, rule 1 allows")
    cluster.insight["ListAccess"] = ext.ListAccessResponse(items=[*ACCESSES, own])
    brief = terminal.works("policy", "what", "ann")
    assert brief.splitlines()[-1].endswith("(--system tells why): portal.default unknown")
    assert own.why not in brief
    assert own.why in terminal.works("policy", "what", "ann", "--system")
