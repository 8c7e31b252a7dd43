from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.url_ports import HTTP_PORTS, SCHEME_PORTS
from octelium.vigil.errors import Unserviceable
from octelium.vigil.upstream_url import UpstreamURL, parse_upstream_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("tcp://db.internal:5433/ignored?x", ("tcp", "db.internal", 5433)),
        ("POSTGRES://DB.internal", ("postgres", "db.internal", 5432)),
        ("https://[2001:db8::1]", ("https", "2001:db8::1", 443)),
        ("tcp://user:word@host:7", ("tcp", "host", 7)),
    ],
)
def test_parts(url: str, parts: tuple[str, str, int]) -> None:
    assert parse_upstream_url(url) == parts


def test_a_port_that_is_not_written_is_that_of_the_given_schemes() -> None:
    assert parse_upstream_url("grpc://a", HTTP_PORTS).port == 80
    assert parse_upstream_url("redis://a:80", HTTP_PORTS).port == 80
    with pytest.raises(Unserviceable, match="redis has no port"):
        parse_upstream_url("redis://a", HTTP_PORTS)


@pytest.mark.parametrize(
    "url",
    ["", "a", "tcp://a", "tcp://:1", "tcp://[::1", "tcp://a:99999", "tcp://a:0", "http://a:0"],
)
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(Unserviceable) as caught:
        parse_upstream_url(url)
    assert caught.value.status == 502


@given(st.text())
def test_any_text_is_a_place_or_refused(url: str) -> None:
    try:
        found = parse_upstream_url(url)
    except Unserviceable:
        return
    assert isinstance(found, UpstreamURL)
    assert found.host
    assert 0 < found.port < 65536


@given(st.sampled_from(sorted(SCHEME_PORTS)), st.integers(1, 65535))
def test_a_port_that_is_written_counts(scheme: str, port: int) -> None:
    assert parse_upstream_url(f"{scheme}://host:{port}") == (scheme, "host", port)
