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
