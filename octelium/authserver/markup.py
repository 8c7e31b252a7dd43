"""Pieces of HTML. Everything that is put into a page is escaped here, and nowhere else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from octelium.schema.unseen import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from octelium.policy.narration import Line

_DEEPEST = 6
"""Level of a line from which on it stands no further to the right."""


class Markup(str):
    """HTML that is safe as it is."""

    __slots__ = ()


def plain(text: str) -> Markup:
    """A text as it is, with what nobody sees as escapes: it could reorder the words around it."""
    return Markup(escape(visible(text)))


def code(value: str) -> Markup:
    """A word of a command or a file, within a sentence."""
    return Markup(f"<code>{plain(value)}</code>")


def strong(value: str) -> Markup:
    """What a sentence is about."""
    return Markup(f"<strong>{plain(value)}</strong>")


def link(url: str, label: str) -> Markup:
    """A link. Raises ValueError for anything but an absolute https URL."""
    if not url.startswith("https://"):
        raise ValueError(f"{url!r} is no https URL")
    return Markup(f'<a href="{escape(url)}">{plain(label)}</a>')


def onward(url: str, label: str, *, quiet: bool = False) -> Markup:
    """A link that looks like a button: the way on. Besides https it may lead to loopback.

    Raises:
        ValueError: it leads elsewhere.
    """
    if not url.startswith(("https://", "http://localhost:")):
        raise ValueError(f"{url!r} is no https URL")
    kind = "button quiet" if quiet else "button"
    return Markup(f'<p><a class="{kind}" href="{escape(url)}">{plain(label)}</a></p>')


def paragraph(*parts: Markup | str) -> Markup:
    """A paragraph of texts and of markup within them."""
    return Markup(f"<p>{''.join(map(_escaped, parts))}</p>")


def aside(*parts: Markup | str) -> Markup:
    """A paragraph that few readers need."""
    return Markup(f'<p class="aside">{"".join(map(_escaped, parts))}</p>')


def heading(text: str) -> Markup:
    """What a section is about."""
    return Markup(f"<h2>{plain(text)}</h2>")


def notice(text: str, *, bad: bool = False) -> Markup:
    """What has just happened; readers are told at once."""
    role, tone = ("alert", "bad") if bad else ("status", "good")
    return Markup(f'<p class="notice {tone}" role="{role}">{plain(text)}</p>')


def command(line: str) -> Markup:
    """A command line that a reader is to copy."""
    return Markup(f"<pre>{plain(line)}</pre>")


def lines(items: Iterable[Line]) -> Markup:
    """Lines of a text with their levels and tones."""
    shown = "".join(
        f'<p class="{line.tone.value} level-{min(line.indent, _DEEPEST)}">{plain(line.text)}</p>'
        for line in items
    )
    return Markup(f'<div class="lines">{shown}</div>')


def folded(label: str, content: Markup) -> Markup:
    """What only some readers want to see: they open it."""
    return Markup(f"<details><summary>{plain(label)}</summary>{content}</details>")


def listing(items: Iterable[tuple[Markup | str, str]]) -> Markup:
    """A list of things, each with a line about it."""
    return entries((name, about, Markup("")) for name, about in items)


def entries(items: Iterable[tuple[Markup | str, str, Markup]]) -> Markup:
    """A list of things, each with lines about it and with what can be done to it."""
    shown = "".join(
        f'<li><div class="what">{_escaped(item)}<span class="about">{plain(about)}</span></div>'
        f"{deed}</li>"
        for item, about, deed in items
    )
    return Markup(f"<ul>{shown}</ul>")


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """What is known of one thing: names and values."""
    shown = "".join(f"<dt>{plain(name)}</dt><dd>{plain(value)}</dd>" for name, value in pairs)
    return Markup(f"<dl>{shown}</dl>")


def beside(text: Markup, deed: Markup) -> Markup:
    """A text, and at its side what can be done about it."""
    return Markup(f'<div class="beside">{text}{deed}</div>')


def badge(text: str) -> Markup:
    """A word that tells one thing of a list from the others."""
    return Markup(f'<span class="badge">{plain(text)}</span>')


def both(*parts: Markup | str) -> Markup:
    """Pieces one after the other, in a line."""
    return Markup(" ".join(map(_escaped, parts)))


def button(
    action: str,
    label: str,
    fields: Mapping[str, str],
    *,
    quiet: bool = False,
    spoken: str = "",
) -> Markup:
    """A form of one button, which posts `fields` to `action`, a path here or an https URL.

    `spoken` is read out instead of a label that only makes sense to who sees where it stands.
    """
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    kind = ' class="quiet"' if quiet else ""
    told = f' aria-label="{plain(spoken)}"' if spoken else ""
    return Markup(
        f'<form method="post" action="{_action(action)}">{hidden}'
        f'<button type="submit"{kind}{told}>{plain(label)}</button></form>'
    )


def buttons(items: Iterable[Markup]) -> Markup:
    """Forms of one button each, one below the other."""
    return Markup(f'<div class="buttons">{"".join(items)}</div>')


def search(action: str, label: str, value: str, submit: str) -> Markup:
    """A form that looks for what `q` says on the page itself."""
    return Markup(
        f'<form method="get" action="{_action(action)}" class="search" role="search">'
        f'<label for="q">{plain(label)}</label>'
        f'<input id="q" name="q" type="search" value="{escape(value)}" maxlength="100" '
        f'autocomplete="off" spellcheck="false"><button type="submit" class="quiet">'
        f"{plain(submit)}</button></form>"
    )


def question(action: str, label: str, name: str, value: str, submit: str, hint: str) -> Markup:
    """A form with one field for a short code."""
    return Markup(
        f'<form method="get" action="{_action(action)}" class="question">'
        f'<label for="{escape(name)}">{plain(label)}</label>'
        f'<input id="{escape(name)}" name="{escape(name)}" value="{escape(value)}" required '
        'autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="16" '
        f'aria-describedby="{escape(name)}-hint">'
        f'<span class="about" id="{escape(name)}-hint">{plain(hint)}</span>'
        f'<button type="submit">{plain(submit)}</button></form>'
    )


def paste(action: str, label: str, name: str, submit: str, hint: str) -> Markup:
    """A form that posts one line of text which somebody has been sent."""
    return Markup(
        f'<form method="post" action="{_action(action)}" class="question pasted">'
        f'<label for="{escape(name)}">{plain(label)}</label>'
        f'<input id="{escape(name)}" name="{escape(name)}" required autocomplete="off" '
        'autocapitalize="none" spellcheck="false" maxlength="400" '
        f'aria-describedby="{escape(name)}-hint">'
        f'<span class="about" id="{escape(name)}-hint">{plain(hint)}</span>'
        f'<button type="submit">{plain(submit)}</button></form>'
    )


def _action(target: str) -> str:
    if not target.startswith("https://") and (not target.startswith("/") or target[1:2] == "/"):
        raise ValueError(f"{target!r} is neither a path nor an https URL")
    return escape(target)


def _escaped(part: Markup | str) -> str:
    return part if isinstance(part, Markup) else plain(part)
