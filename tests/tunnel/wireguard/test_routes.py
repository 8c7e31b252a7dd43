from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.routes import Network, Routes
from tests.tunnel.wireguard.worlds import net


def find(routes: Routes[str], address: str) -> str | None:
    parsed = ip_address(address)
    return (routes.v4 if parsed.version == 4 else routes.v6).find(parsed.packed)


def test_the_longest_prefix_wins() -> None:
    routes: Routes[str] = Routes()
    for network, owner in [
        ("0.0.0.0/0", "any"),
        ("100.64.0.0/16", "wide"),
        ("100.64.1.0/24", "narrow"),
        ("100.64.1.7/32", "one"),
        ("::/0", "six"),
        ("fd00::/64", "home"),
        ("fd00::1/128", "me"),
    ]:
        routes.add(net(network), owner)
    for address, owner in [
        ("1.1.1.1", "any"),
        ("100.64.2.1", "wide"),
        ("100.64.1.8", "narrow"),
        ("100.64.1.7", "one"),
        ("2001:db8::1", "six"),
        ("fd00::2", "home"),
        ("fd00::1", "me"),
    ]:
        assert find(routes, address) == owner
    routes.remove(net("100.64.1.7/32"), "one")
    assert find(routes, "100.64.1.7") == "narrow"
    routes.clear("any")
    assert find(routes, "1.1.1.1") is None


def test_a_network_is_taken_only_from_its_owner() -> None:
    routes: Routes[str] = Routes()
    routes.add(net("10.0.0.0/8"), "a")
    routes.remove(net("10.0.0.0/8"), "b")
    routes.add(net("10.0.0.0/8"), "a")
    assert routes.held("a") == (net("10.0.0.0/8"),)
    routes.add(net("10.0.0.0/8"), "b")
    assert routes.held("a") == ()
    routes.clear("a")
    routes.clear("nobody")
    assert find(routes, "10.1.1.1") == "b"


def networks() -> st.SearchStrategy[Network]:
    # Few bits, so that networks nest and meet.
    four = st.tuples(st.integers(0, 15), st.integers(0, 32)).map(
        lambda pair: IPv4Network((0x64400000 | pair[0] << 28 | pair[0], pair[1]), strict=False)
    )
    six = st.tuples(st.integers(0, 15), st.integers(0, 128)).map(
        lambda pair: IPv6Network((0xFD << 120 | pair[0] << 64 | pair[0], pair[1]), strict=False)
    )
    return st.one_of(four, six)


@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "clear"]), networks(), st.integers(0, 3)))
)
def test_like_a_list_that_is_searched(steps: list[tuple[str, Network, int]]) -> None:
    routes: Routes[int] = Routes()
    model: dict[Network, int] = {}
    for step, network, owner in steps:
        if step == "add":
            routes.add(network, owner)
            model[network] = owner
        elif step == "remove":
            routes.remove(network, owner)
            if model.get(network) == owner:
                del model[network]
        else:
            routes.clear(owner)
            model = {one: other for one, other in model.items() if other != owner}
        for probe in (network.network_address, network.broadcast_address):
            holders = [one for one in model if probe in one]
            best = max(holders, key=lambda one: one.prefixlen, default=None)
            family = routes.v4 if probe.version == 4 else routes.v6
            assert family.find(probe.packed) == (None if best is None else model[best])
    for owner in range(4):
        assert set(routes.held(owner)) == {one for one, other in model.items() if other == owner}
