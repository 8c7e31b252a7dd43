from __future__ import annotations

import pytest

from octelium.client.errors import ClientError
from octelium.client.tunnel.errors import TunnelError, WantedError


@pytest.mark.parametrize("kind", [TunnelError, WantedError])
def test_they_are_told_as_all_errors_of_the_client(kind: type[ClientError]) -> None:
    error = kind("what", "do this")
    assert isinstance(error, ClientError)
    assert (str(error), error.remedy) == ("what", "do this")
