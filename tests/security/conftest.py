"""One laboratory per test process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.security.lab import laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running Cluster with providers of identities."""
    with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made
