from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.api import Api, FixedToken
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.invitations import invite, revoke
from octelium.client.settings import Target
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import DOMAIN, StandIn

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


def test_a_link_is_made_and_revoked(cluster: StandIn, service: Authorized) -> None:
    cluster.insight = {
        "Invite": ext.InviteResponse(url="https://lab.test/invite#T"),
        "DeleteInvitation": ext.DeleteInvitationResponse(deleted=True),
    }
    assert invite(service, "ann").url == "https://lab.test/invite#T"
    assert revoke(service, "ann")
    assert [call.request for call in cluster.calls] == [
        ext.InviteRequest(user="ann"),
        ext.DeleteInvitationRequest(user="ann"),
    ]


def test_clusters_that_do_not_invite(cluster: StandIn, service: Authorized) -> None:
    cluster.foreign = True
    for call in (invite, revoke):
        with pytest.raises(ApiError, match="does not invite people"):
            call(service, "ann")
