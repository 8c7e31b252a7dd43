from __future__ import annotations

import pytest

from octelium.vigil.dns.top_level import is_top_level


@pytest.mark.parametrize("label", ["com", "dev", "app", "de", "io", "xx", "arpa", "shop"])
def test_public_domains(label: str) -> None:
    assert is_top_level(label.encode())


@pytest.mark.parametrize(
    "label", ["default", "octelium", "octelium-api", "staging", "prod-eu", "home", "lab", "test"]
)
def test_other_namespaces_are_the_clusters(label: str) -> None:
    assert not is_top_level(label.encode())
