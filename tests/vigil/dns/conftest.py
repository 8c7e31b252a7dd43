from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.vigil.dns import links, resolver, stream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def patience_of_resolvers() -> Iterator[None]:
    """Whoever is asked has as long as it likes, unless a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver, "_DATAGRAM_PATIENCE", 60.0)
        patch.setattr(resolver, "_STREAM_PATIENCE", 60.0)
        patch.setattr(links, "_CLIENT_PATIENCE", 60.0)
        patch.setattr(stream, "IDLE", 3600.0)
        yield
