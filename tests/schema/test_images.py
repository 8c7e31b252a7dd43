from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.images import check_image, is_registry, moves, registry_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "registry", "moving"),
    [
        ("nginx", "docker.io", True),
        ("nginx:1.29", "docker.io", False),
        ("nginx:latest", "docker.io", True),
        ("library/nginx", "docker.io", True),
        ("docker.io/library/nginx:1", "docker.io", False),
        ("ghcr.io/o/x_y.z-1:v1", "ghcr.io", False),
        ("localhost/x", "localhost", True),
        ("localhost:5000/x:latest", "localhost:5000", True),
        ("h.test:5000/a/b/c", "h.test:5000", True),
        ("[::1]:5000/x:1", "[::1]:5000", False),
        (f"nginx@{DIGEST}", "docker.io", False),
        (f"ghcr.io/o/x:latest@{DIGEST}", "ghcr.io", False),
        ("a__b/c", "docker.io", True),
    ],
)
def test_images(image: str, registry: str, moving: bool) -> None:
    check_image(image)
    assert (registry_of(image), moves(image)) == (registry, moving)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("", "not the name"),
        (" nginx", "not the name"),
        ("Nginx", "lower case"),
        ("ghcr.io/Owner/x", "lower case"),
        ("https://ghcr.io/o/x", "registry|path"),
        ("nginx:", "tag"),
        ("nginx:a b", "tag"),
        ("nginx:" + "a" * 129, "tag"),
        ("nginx@sha256:abc", "digest"),
        ("nginx@", "digest"),
        ("a//b", "path"),
        ("/a", "path"),
        ("a/", "path"),
        ("a..b/c", "registry"),
        ("h.test:0/x", "registry"),
        ("h.test:70000/x", "registry"),
        ("-a.b/x", "registry"),
        ("a___b", "path"),
        ("nginx;rm", "path"),
        ("$(x)", "path"),
    ],
)
def test_what_is_no_image(image: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_image(image)


def test_registries() -> None:
    assert is_registry("ghcr.io")
    assert is_registry("h:5000")
    assert not is_registry("h:")
    assert not is_registry("h/x")
    assert not is_registry("")


@given(st.text(alphabet="aA0.-_:/@[] sh25", max_size=40))
def test_any_text_is_an_image_or_refused(text: str) -> None:
    try:
        check_image(text)
    except ValueError:
        return
    assert registry_of(text) == "docker.io" or is_registry(registry_of(text))
