from __future__ import annotations

from html import escape

import pytest

from octelium.authserver.markup import (
    Markup,
    aside,
    badge,
    both,
    button,
    buttons,
    code,
    command,
    entries,
    facts,
    heading,
    lines,
    link,
    listing,
    notice,
    onward,
    paragraph,
    plain,
    question,
    search,
    strong,
)
from octelium.policy.narration import Line, Tone
from octelium.schema.unseen import is_unseen
from tests.authserver.test_pages import ESCAPED, EVIL
from tests.tui.hostile import HOSTILE


@pytest.mark.parametrize(
    "markup",
    [
        code(EVIL),
        strong(EVIL),
        badge(EVIL),
        both(EVIL, badge("x")),
        command(EVIL),
        heading(EVIL),
        notice(EVIL),
        notice(EVIL, bad=True),
        paragraph(EVIL),
        paragraph("x", code(EVIL)),
        aside(EVIL),
        listing([(EVIL, EVIL)]),
        entries([("x", EVIL, Markup(""))]),
        facts([(EVIL, "x")]),
        facts([("x", EVIL)]),
        link("https://example.com/" + EVIL, EVIL),
        onward("https://example.com/" + EVIL, "x"),
        button("/x", EVIL, {}),
        button("/x", "x", {EVIL: "x"}),
        button("/x", "x", {"x": EVIL}),
        button("/x", "x", {}, spoken=EVIL),
        button("/" + EVIL, "x", {}),
        buttons([button("/x", EVIL, {})]),
        search("/x", EVIL, "x", "x"),
        search("/x", "x", EVIL, "x"),
        search("/x", "x", "x", EVIL),
        question("/x", EVIL, "x", "x", "x", "x"),
        question("/x", "x", EVIL, "x", "x", "x"),
        question("/x", "x", "x", EVIL, "x", "x"),
        question("/x", "x", "x", "x", EVIL, "x"),
        question("/x", "x", "x", "x", "x", EVIL),
        lines([Line(99, EVIL, Tone.BAD)]),
    ],
)
def test_whatever_comes_in_is_escaped(markup: Markup) -> None:
    assert ESCAPED in markup
    assert "<script" not in markup


BAD_LINKS = ["javascript:alert(1)", "http://example.com", "//example.com", "data:x", "", "/x"]


@pytest.mark.parametrize("url", BAD_LINKS)
def test_links_are_https(url: str) -> None:
    with pytest.raises(ValueError):
        link(url, "x")


@pytest.mark.parametrize("url", [*BAD_LINKS, "http://localhost.example.com/", "http://127.0.0.1/"])
def test_the_way_on_is_https_or_loopback(url: str) -> None:
    with pytest.raises(ValueError):
        onward(url, "x")
    assert 'href="http://localhost:12345/x"' in onward("http://localhost:12345/x", "x")


@pytest.mark.parametrize("action", ["", "x", "//evil.test/", "http://example.com/", "javascript:x"])
def test_forms_go_to_paths_and_to_https(action: str) -> None:
    with pytest.raises(ValueError):
        button(action, "x", {})
    assert 'action="https://example.com/x"' in button("https://example.com/x", "x", {})


def test_notices_are_read_out() -> None:
    assert 'role="alert"' in notice("x", bad=True)
    assert 'role="status"' in notice("x")


def test_what_a_button_says_to_who_cannot_see() -> None:
    assert 'aria-label="Sign out of laptop"' in button(
        "/x", "Sign out", {}, spoken="Sign out of laptop"
    )
    assert "aria-label" not in button("/x", "Sign out", {})


@pytest.mark.parametrize("evil", HOSTILE)
def test_whatever_is_said_stands_where_it_is_put(evil: str) -> None:
    """What reorders or hides a line would change what the words around it say."""
    made: Markup
    for made in (
        plain(evil),
        code(evil),
        strong(evil),
        heading(evil),
        notice(evil),
        paragraph(evil, strong(evil)),
        link("https://a.test", evil),
        onward("https://a.test", evil),
        badge(evil),
        facts([(evil, evil)]),
        listing([(evil, evil)]),
        lines([Line(0, evil, Tone.PLAIN)]),
        button("/x", evil, {}, spoken=evil),
    ):
        assert not any(is_unseen(character) for character in made if character not in "\n\t")
        assert made.encode()
        assert escape(evil) in made or any(map(is_unseen, evil))
