from octelium.tunnel.wireguard.counters import Counters


def test_counters_begin_at_nothing_and_have_names() -> None:
    counters = Counters()
    assert set(counters.as_dict().values()) == {0}
    counters.bad_source += 2
    assert counters.as_dict()["bad_source"] == 2
