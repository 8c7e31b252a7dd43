from __future__ import annotations

from octelium.authserver.csrf import FormTokens


def test_each_session_has_its_own() -> None:
    tokens = FormTokens()
    one = tokens.of("one")
    assert tokens.is_of(one, "one")
    assert tokens.of("one") == one
    for token, session in ((one, "two"), ("", "one"), (one.upper(), "one"), ("\u00e9", "one")):
        assert not tokens.is_of(token, session)
    assert not FormTokens().is_of(one, "one")
