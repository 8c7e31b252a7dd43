"""Time enough for a busy machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.dns.servers import patience

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Tests of what is slow say how slow it may be."""
    with patience():
        yield
