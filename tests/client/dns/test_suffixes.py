from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns.suffixes import is_under, private_suffixes

LABEL = st.text("abcxyz019-", min_size=1, max_size=8)
SUFFIXES = private_suffixes(["local.example.com"], ["Corp.Test."])


def test_every_spelling_of_a_cluster() -> None:
    assert SUFFIXES == ("local.example.com", "example.com.local", "local", "corp.test")
    assert private_suffixes([]) == ()
    assert private_suffixes([], ["a.b", ""]) == ("a.b",)


def test_others_are_not_private() -> None:
    for name in (".", "example.com.", "www.example.com", "notlocal.example.com", "xlocal", "test"):
        assert not is_under(name, SUFFIXES), name


@given(st.lists(LABEL, max_size=4), st.sampled_from(SUFFIXES), st.booleans())
def test_all_below_is_private_in_any_case(labels: list[str], suffix: str, upper: bool) -> None:
    name = ".".join([*labels, suffix])
    assert is_under(name.upper() if upper else name, SUFFIXES)
    assert is_under(name + ".", SUFFIXES)
    assert not is_under("".join(labels) + "x" + suffix, (suffix,))
