"""Time enough for a busy machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel import asked, control, destinations, probe, running, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_HURRIED = (
    (asked, "_WAIT"),
    (asked, "_HELLO"),
    (asked, "_UPSTREAM"),
    (control, "_SECONDS"),
    (destinations, "CONNECT"),
    (probe, "_WAIT"),
    (running, "_FAREWELL"),
    (serving, "CONNECT"),
)


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Tests of what is slow say how slow it may be."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _HURRIED:
            patch.setattr(module, name, 60.0)
        yield
