from octelium.tunnel.wireguard.constants import (
    MAX_BURST,
    REJECT_AFTER_MESSAGES,
    REKEY_AFTER_MESSAGES,
    WINDOW,
    Timing,
)


def test_the_numbers_of_section_6_1() -> None:
    timing = Timing()
    assert timing.rekey_after == 120
    assert timing.reject_after == 180
    assert timing.rekey_attempt == 90
    assert timing.rekey_timeout == 5
    assert timing.keepalive_timeout == 10
    assert timing.forget_after == 540
    assert timing.last_minute == 165
    assert REKEY_AFTER_MESSAGES == 1 << 60
    assert REJECT_AFTER_MESSAGES == (1 << 64) - (1 << 13) - 1
    assert WINDOW >= 2048
    assert MAX_BURST < 65_508
