from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.api import Api, FixedToken
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.insight import explain, list_access, preview_access
from octelium.client.settings import Target
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import DOMAIN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.client.api import Authorized


@pytest.fixture
def service(cluster: StandIn) -> Iterator[Authorized]:
    cluster.new_session()
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        yield Api(channel, FixedToken("access-1"), sleep=lambda _: None).ext


def test_questions_and_answers(cluster: StandIn, service: Authorized) -> None:
    access = ext.Access(user="ann", service="wiki.default", verdict=ext.AccessVerdict__.ALLOWED)
    cluster.insight = {
        "Explain": ext.Explanation(outcome="ALLOWED"),
        "ListAccess": ext.ListAccessResponse(items=[access]),
        "PreviewAccess": ext.PreviewAccessResponse(pairs=4),
    }
    question = ext.ExplainRequest(user="ann", service="wiki.default")
    assert explain(service, question).outcome == "ALLOWED"
    assert list_access(service, user="ann", target="wiki.default").items == [access]
    group = core.Group(kind="Group")
    group.metadata.name = "ops"
    reply = preview_access(
        service, [group], prune_kinds=["Group"], prune_builtin=True, logged_requests=7
    )
    assert reply.pairs == 4
    asked = [call.request for call in cluster.calls]
    assert asked[0] == question
    assert asked[1] == ext.ListAccessRequest(user="ann", service="wiki.default")
    assert (asked[2].logged_requests, asked[2].apply.dry_run, asked[2].apply.prune) == (
        7,
        True,
        True,
    )
    assert asked[2].apply.prune_builtin
    assert [r.group.metadata.name for r in asked[2].apply.resources] == ["ops"]


def test_clusters_that_cannot_say(cluster: StandIn, service: Authorized) -> None:
    for foreign in (True, False):
        cluster.foreign = foreign
        with pytest.raises(ApiError, match="does not explain its decisions") as caught:
            list_access(service)
        assert "another implementation" in caught.value.remedy


def test_other_refusals_stay_as_they_are(cluster: StandIn, service: Authorized) -> None:
    cluster.failures["Explain"] = [RefusedError("PERMISSION_DENIED", "no")]
    with pytest.raises(ApiError, match="PermissionDenied: no"):
        explain(service, ext.ExplainRequest())


def test_an_answer_that_makes_no_sense(cluster: StandIn, service: Authorized) -> None:
    impossible = ext.Explanation()
    impossible.at.seconds = 10**15
    cluster.insight = {"Explain": impossible}
    with pytest.raises(ApiError, match="makes no sense") as caught:
        explain(service, ext.ExplainRequest(user="ann", service="wiki.default"))
    assert caught.value.code == "INTERNAL"
