from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.images import (
    check_image,
    is_registry,
    pinned,
    registry_fault,
    registry_host,
    registry_of,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx", "docker.io"),
        ("nginx:1.29", "docker.io"),
        ("nginx:latest", "docker.io"),
        ("library/nginx", "docker.io"),
        ("docker.io/library/nginx:1", "docker.io"),
        ("ghcr.io/o/x_y.z-1:v1", "ghcr.io"),
        ("localhost/x", "localhost"),
        ("localhost:5000/x:latest", "localhost:5000"),
        ("h.test:5000/a/b/c", "h.test:5000"),
        ("[::1]:5000/x:1", "[::1]:5000"),
        (f"nginx@{DIGEST}", "docker.io"),
        (f"ghcr.io/o/x:latest@{DIGEST}", "ghcr.io"),
        ("a__b/c", "docker.io"),
    ],
)
def test_images(image: str, registry: str) -> None:
    check_image(image)
    assert registry_of(image) == registry


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("", "not the name"),
        (" nginx", "not the name"),
        ("Nginx", "lower case"),
        ("ghcr.io/Owner/x", "lower case"),
        ("https://ghcr.io/o/x", "is a URL, and an image is named without the https://"),
        ("nginx:", "tag"),
        ("nginx:a b", "tag"),
        ("nginx:" + "a" * 129, "tag"),
        ("nginx@sha256:abc", "which has 64 hex digits in lower case after sha256:"),
        ("nginx@md5:abc", "which begins with sha256:"),
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


@pytest.mark.parametrize(
    "registry",
    [
        *("localhost", "LOCALHOST:5000", "x.localhost", "127.0.0.1:5000", "127.1", "0.0.0.0"),
        *("2130706433", "0x7f000001", "127.0.0.0x1", "017700000001", "[::1]:5000", "[::]"),
        *("[::ffff:127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "169.254.169.254", "[fe80::1]"),
        *("168.63.129.16", "100.100.100.200", "[fd00:ec2::254]", "224.0.0.1", "255.255.255.255"),
        *("kubernetes:443", "kubernetes.default", "kubernetes.default.svc", "a.b.svc:5000"),
        *("registry.kube-system.svc.cluster.local", "http://127.0.0.1/x", "https://h.svc:1/x"),
    ],
)
def test_no_node_is_sent_to_what_it_alone_reaches(registry: str) -> None:
    assert registry_fault(registry)


@pytest.mark.parametrize(
    "registry",
    [
        *("docker.io", "ghcr.io", "h.test:5000", "192.168.1.5:5000", "10.0.0.2", "172.16.0.9"),
        *("registry:5000", "nas.local", "svc.test", "localhost.test", "1.registry.test", "9.9.9.9"),
        *("[fd12::1]:5000", "[2001:4860:4860::8888]", "https://index.docker.io/v1/", "100.64.0.7"),
    ],
)
def test_registries_at_home_and_in_the_world_are_asked(registry: str) -> None:
    assert registry_fault(registry) == ""


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_form(address: object) -> None:
    forms = (f"{address}", f"[::ffff:{address}]:5000", f"http://[64:ff9b::{address}]/x")
    assert len({bool(registry_fault(one)) for one in forms}) == 1


def test_the_host_of_a_registry() -> None:
    assert registry_host("https://H.test:5000/x") == "h.test"
    assert registry_host("[FD00::1]:5000") == "fd00::1"


def test_a_digest_pins_an_image() -> None:
    assert pinned(f"nginx@{DIGEST}")
    assert not pinned("nginx:1.29")
