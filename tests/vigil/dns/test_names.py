from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.vigil.dns.names import NEGATIVE_TTL, TTL, ClusterNames
from octelium.vigil.dns.wire import NOERROR, NXDOMAIN, Answer, assemble, parse_query
from tests.vigil.dns.world import DOMAIN, DnsCluster, wire_form

if TYPE_CHECKING:
    from collections.abc import Iterator

A, NS, SOA, PTR, MX, TXT, AAAA, HTTPS, ANY = 1, 2, 6, 12, 15, 16, 28, 65, 255


class Names:
    def __init__(self) -> None:
        self.cluster = DnsCluster()
        self.names = ClusterNames(self.cluster.replica)

    def raw(self, name: str, kind: int) -> Answer | None:
        return self.names.find(wire_form(name), kind)

    def find(self, name: str, kind: int = A) -> dns.message.Message | None:
        answer = self.raw(name, kind)
        if answer is None:
            return None
        query = dns.message.make_query(name, kind)  # type: ignore[arg-type]
        return dns.message.from_wire(assemble(parse_query(query.to_wire()), answer, 65535))

    def texts(self, name: str, kind: int = A) -> list[str]:
        reply = self.find(name, kind)
        assert reply is not None
        return [rdata.to_text() for found in reply.answer for rdata in found]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.names.close()


SPELLINGS = [
    *("wiki.local", "wiki.default.local"),
    *(f"wiki.local.{DOMAIN}", f"wiki.default.local.{DOMAIN}"),
    *(f"wiki.{DOMAIN}.local", f"wiki.default.{DOMAIN}.local"),
    *("wiki", "wiki.default"),
    *("a.wiki.default.local", f"a.b.wiki.default.local.{DOMAIN}"),
]
OF_PROD = [
    *("wiki.prod-eu.local", f"wiki.prod-eu.local.{DOMAIN}", f"wiki.prod-eu.{DOMAIN}.local"),
    *("wiki.prod-eu", f"x.y.wiki.prod-eu.local.{DOMAIN}"),
]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_a_service(names: Names, name: str) -> None:
    assert names.texts(name) == ["100.64.0.20"]
    assert names.texts(name.upper(), AAAA) == ["fdee:1234::14"]


@pytest.mark.parametrize("name", OF_PROD)
def test_every_spelling_in_another_namespace(names: Names, name: str) -> None:
    assert names.texts(name) == ["100.64.0.32"]


@pytest.mark.parametrize("name", ["local", f"local.{DOMAIN}", f"{DOMAIN}.local", "default.local"])
def test_the_suffixes_themselves(names: Names, name: str) -> None:
    assert names.texts(name) == ["100.64.0.21"]


def test_a_namespace_is_its_service_default(names: Names) -> None:
    assert names.texts("prod-eu.local") == ["100.64.0.31"]
    assert names.texts(f"prod-eu.local.{DOMAIN}") == ["100.64.0.31"]


def test_a_service_of_the_default_namespace_comes_before_a_namespace(names: Names) -> None:
    names.cluster.named("prod-eu.default", 99)
    assert names.texts("prod-eu.local") == ["100.64.0.99"]


def test_answers_are_authoritative_and_short_lived(names: Names) -> None:
    answer = names.raw("wiki.local", A)
    assert answer is not None
    assert answer.authoritative
    assert answer.text == "100.64.0.20"
    reply = names.find("wiki.local")
    assert reply is not None
    assert reply.answer[0].ttl == TTL


def denial(reply: dns.message.Message | None, rcode: int, zone: str) -> None:
    assert reply is not None
    assert reply.rcode() == rcode
    assert not reply.answer
    (soa,) = reply.authority
    assert soa.rdtype == SOA
    assert soa.name.to_text() == f"{zone}."
    assert soa.ttl == soa[0].minimum == NEGATIVE_TTL


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("nope.local", "local"),
        ("api.local", "local"),  # it is one of another Namespace
        (f"api.local.{DOMAIN}", f"local.{DOMAIN}"),
        (f"nope.{DOMAIN}.local", f"{DOMAIN}.local"),
        ("wiki.nope.local", "local"),
        ("api.default.local", "local"),
        ("_wiki.local", "local"),
        ("wi\\.ki.local", "local"),
        ("api\\.prod-eu.local", "local"),
        ("w\\255ki.local", "local"),
        ("wiki-.local", "local"),
    ],
)
@pytest.mark.parametrize("kind", [A, AAAA, MX, TXT, HTTPS, SOA, ANY])
def test_unknown_names_below_a_suffix_do_not_exist(
    names: Names, name: str, zone: str, kind: int
) -> None:
    denial(names.find(name, kind), NXDOMAIN, zone)


@pytest.mark.parametrize("kind", [MX, TXT, HTTPS, SOA, NS, PTR, 5, 33, 43, 257])
def test_other_types_of_a_service_are_denied_here(names: Names, kind: int) -> None:
    denial(names.find("wiki.local", kind), NOERROR, "local")
    denial(names.find(f"wiki.prod-eu.local.{DOMAIN}", kind), NOERROR, f"local.{DOMAIN}")
    denial(names.find("wiki.prod-eu", kind), NOERROR, "prod-eu")


def test_a_missing_family_is_no_missing_name(names: Names) -> None:
    assert names.texts("v4only.local") == ["100.64.0.22"]
    denial(names.find("v4only.local", AAAA), NOERROR, "local")
    denial(names.find("new.local"), NOERROR, "local")
    denial(names.find("new.local", AAAA), NOERROR, "local")


def test_names_above_services_exist(names: Names) -> None:
    names.cluster.put("Namespace", "empty")
    denial(names.find("octelium.local"), NOERROR, "local")
    denial(names.find("empty.local", AAAA), NOERROR, "local")
    denial(names.find("test.local"), NOERROR, "local")  # above octelium.test.local
    denial(names.find(f"test.local.{DOMAIN}"), NXDOMAIN, f"local.{DOMAIN}")


@pytest.mark.parametrize(
    "apex", ["local", f"local.{DOMAIN}", f"{DOMAIN}.local", "64.100.in-addr.arpa"]
)
def test_zones_have_a_beginning(names: Names, apex: str) -> None:
    (soa,) = names.texts(apex, SOA)
    assert soa.startswith(f"dns.octelium.local.{DOMAIN}. hostmaster.{DOMAIN}. ")
    assert names.texts(apex, NS) == [f"dns.octelium.local.{DOMAIN}."]
    denial(names.find(apex, MX), NOERROR, apex)


def test_serial_numbers_grow_with_the_store(names: Names) -> None:
    def serial() -> int:
        return int(names.texts("local", SOA)[0].split()[2])

    before = serial()
    names.cluster.named("late.default", 77)
    assert serial() > before


def test_everything_is_not_told(names: Names) -> None:
    assert names.texts("wiki.local", ANY) == ['"RFC8482" ""']


@pytest.mark.parametrize(
    "name",
    [
        *(
            "wiki.octelium.test",
            "octelium.test",
            "example.com",
            "nope",
            "nope.default",
            "wiki.nope",
        ),
        *("a.wiki.default", "localhost", "4.3.2.1.in-addr.arpa", "1.0.67.100.in-addr.arpa", "."),
    ],
)
def test_what_is_not_the_clusters(names: Names, name: str) -> None:
    for kind in (A, MX, PTR):
        assert names.raw(name, kind) is None


def test_public_domains_win_over_namespaces(names: Names) -> None:
    for namespace in ("dev", "com", "de"):
        names.cluster.put("Namespace", namespace)
        names.cluster.named(f"web.{namespace}", 50)
        assert names.raw(f"web.{namespace}", A) is None
        assert names.texts(f"web.{namespace}.local") == ["100.64.0.50"]


def test_the_way_back(names: Names) -> None:
    assert names.texts("20.0.64.100.in-addr.arpa", PTR) == [f"wiki.local.{DOMAIN}."]
    assert names.texts("32.0.64.100.IN-ADDR.ARPA", PTR) == [f"wiki.prod-eu.local.{DOMAIN}."]
    v6 = ipaddress.ip_address("fdee:1234::14").reverse_pointer
    assert names.texts(v6, PTR) == [f"wiki.local.{DOMAIN}."]
    denial(names.find("20.0.64.100.in-addr.arpa", A), NOERROR, "64.100.in-addr.arpa")
    denial(names.find("0.64.100.in-addr.arpa", PTR), NOERROR, "64.100.in-addr.arpa")


def test_whose_an_address_of_a_session_is_stays_unsaid(names: Names) -> None:
    connection = {
        "addresses": [{"v4": "100.65.0.7/32", "v6": "fdee:1234:0:0:1::7/128"}],
        "l3Mode": "BOTH",
    }
    names.cluster.session("ann-1", "ann", status={"isConnected": True, "connection": connection})
    assert names.cluster.replica.session_at("100.65.0.7") is not None
    denial(names.find("7.0.65.100.in-addr.arpa", PTR), NXDOMAIN, "65.100.in-addr.arpa")
    denial(names.find("8.0.65.100.in-addr.arpa", PTR), NXDOMAIN, "65.100.in-addr.arpa")
    for odd in ("256.0.64.100", "1.2.0.64.100", "x.0.64.100", "020.0.64.100"):
        denial(names.find(f"{odd}.in-addr.arpa", PTR), NXDOMAIN, "64.100.in-addr.arpa")
    v6 = ipaddress.ip_address("fdee:1234:0:0:1::7").reverse_pointer
    reply = names.find(v6, PTR)
    assert reply is not None
    assert reply.rcode() == NXDOMAIN


def test_changes_show_at_once(names: Names) -> None:
    denial(names.find("late.local"), NXDOMAIN, "local")
    assert names.raw("late", A) is None
    names.cluster.named("late.default", 77)
    assert names.texts("late.local") == names.texts("late") == ["100.64.0.77"]
    assert names.texts("77.0.64.100.in-addr.arpa", PTR) == [f"late.local.{DOMAIN}."]
    names.cluster.remove("Service", "late.default")
    denial(names.find("late.local"), NXDOMAIN, "local")
    denial(names.find("77.0.64.100.in-addr.arpa", PTR), NXDOMAIN, "64.100.in-addr.arpa")
    names.cluster.put("ClusterConfig", "default", status={"domain": "other.test"})
    assert names.raw(f"wiki.local.{DOMAIN}", A) is None
    assert names.texts("wiki.local.other.test") == ["100.64.0.20"]
    assert names.raw("20.0.64.100.in-addr.arpa", PTR) is None


def test_declared_zones_below_local_are_not_the_clusters(names: Names) -> None:
    names.cluster.config(zones=[{"servers": ["10.0.0.1"], "domains": ["Corp.Local", "local"]}])
    assert names.raw("dc.corp.local", A) is None
    denial(names.find("nope.local"), NXDOMAIN, "local")
    assert names.texts("wiki.local") == ["100.64.0.20"]


def test_sessions_that_come_and_go_leave_answers_alone(names: Names) -> None:
    first = names.raw("wiki.local", A)
    names.cluster.session("ann-2", "ann")
    assert names.raw("wiki.local", A) is first


@given(
    st.lists(
        st.sampled_from(
            [
                "wiki",
                "api",
                "default",
                "prod-eu",
                "nope",
                "local",
                "a",
                "octelium",
                "test",
                "in-addr",
                "arpa",
                "64",
                "100",
            ]
        ),
        max_size=7,
    ),
    st.sampled_from([A, AAAA, SOA, PTR, MX, ANY]),
)
def test_answers_are_sound_whatever_is_asked(labels: list[str], kind: int) -> None:
    name = ".".join(labels) or "."
    reply = _SHARED.find(name, kind)
    if reply is None:
        assert "local" not in labels[-1:]
        return
    assert reply.rcode() in (NOERROR, NXDOMAIN)
    assert bool(reply.answer) != bool(reply.authority)
    for found in (*reply.answer, *reply.authority):
        assert reply.question[0].name.is_subdomain(found.name)


_SHARED = Names()
