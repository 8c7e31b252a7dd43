from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.dns_servers import DnsServer, parse_dns_server


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("1.1.1.1", ("udp", "1.1.1.1", 53)),
        ("1.1.1.1:5353", ("udp", "1.1.1.1", 5353)),
        ("dns://1.1.1.1", ("udp", "1.1.1.1", 53)),
        ("udp://1.1.1.1:54/", ("udp", "1.1.1.1", 54)),
        ("tcp://1.1.1.1", ("tcp", "1.1.1.1", 53)),
        ("tls://1.1.1.1", ("tls", "1.1.1.1", 853)),
        ("dot://dns.example.com.", ("tls", "dns.example.com", 853)),
        ("tcp-tls://dns.example.com:443", ("tls", "dns.example.com", 443)),
        ("resolver", ("udp", "resolver", 53)),
        ("::1", ("udp", "::1", 53)),
        ("2001:db8::53", ("udp", "2001:db8::53", 53)),
        ("[2001:db8::53]:54", ("udp", "2001:db8::53", 54)),
        ("dns://[::1]", ("udp", "::1", 53)),
        ("tls://[2001:DB8::0053]:8853", ("tls", "2001:db8::53", 8853)),
    ],
)
def test_forms(text: str, server: tuple[str, str, int]) -> None:
    assert parse_dns_server(text) == DnsServer(*server)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "dot://", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1.1:", "1.1.1.256", "1.2.3"),
        *("dns://::1", "dns://[::g]", "[1.1.1.1]", "https://dns.google/dns-query", "DNS://1.1.1.1"),
        *("dns://user@1.1.1.1", "dns://1.1.1.1/x", "dns://1.1.1.1?x", "-a.b", "a..b", "a" * 64),
        *("1.1.1.1\n", "dns:1.1.1.1", "//1.1.1.1", "a.b" * 90),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_dns_server(text)


@given(st.text(alphabet="abcdnst0123456789.:[]/-% \n", max_size=30))
def test_whatever_is_read_is_a_server(text: str) -> None:
    try:
        server = parse_dns_server(text)
    except ValueError:
        return
    assert server.host
    assert 0 < server.port < 65536
    host = f"[{server.host}]" if ":" in server.host else server.host
    assert parse_dns_server(f"{server.transport}://{host}:{server.port}") == server
