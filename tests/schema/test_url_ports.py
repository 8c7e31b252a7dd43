from __future__ import annotations

from urllib.parse import urlsplit

from octelium.schema.url_ports import SCHEME_PORTS, url_port


def test_a_port_that_is_written_counts_before_the_schemes() -> None:
    for scheme, port in SCHEME_PORTS.items():
        assert url_port(urlsplit(f"{scheme}://host")) == port
        assert url_port(urlsplit(f"{scheme}://host:7")) == 7
    assert url_port(urlsplit("tcp://host")) is None
