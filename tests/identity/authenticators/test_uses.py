from __future__ import annotations

from octelium.identity.authenticators import uses
from octelium.schema.pb import core_v1_pb2 as core


def test_the_last_use() -> None:
    authenticator = core.Authenticator()
    assert uses.last(authenticator) == 0
    for number, at in enumerate((1_900_000_000, 1_900_000_061), 1):
        uses.count(authenticator, at)
        assert uses.last(authenticator) == at
        assert authenticator.status.successful_authentications == number
    again = core.Authenticator.FromString(authenticator.SerializeToString())
    assert uses.last(again) == 1_900_000_061
