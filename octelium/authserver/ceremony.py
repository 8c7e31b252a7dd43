"""Pieces of the pages where people use Authenticators, and the one script that these need.

WebAuthn exists in scripts only. So the script asks the browser, and posts what it answers with a
form as if it had been typed in; everything else is plain HTML.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib import resources
from itertools import chain, repeat
from typing import TYPE_CHECKING

from starlette.responses import Response

from octelium.authserver.markup import Markup, button, plain
from octelium.identity.authenticators.owned import MAX_DISPLAY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request


async def script(_request: Request) -> Response:
    """The script."""
    return script_file("webauthn.js")


def script_file(name: str) -> Response:
    """A script that stands beside this module."""
    headers = {
        "Cache-Control": "no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_script(name), media_type="text/javascript", headers=headers)


def security_key(
    action: str,
    options: str,
    fields: Mapping[str, str],
    label: str,
    *,
    create: bool = False,
    otherwise: str = " Allow it for this page, or use an authenticator app.",
) -> Markup:
    """A form that posts `fields` and the `response` of a security key or passkey to `action`.

    `options` are those of WebAuthn as JSON; with `create` a new credential is made. `otherwise`
    says what to do without JavaScript.
    """
    kind = "create" if create else "get"
    form = button(action, label, {**fields, "response": ""})
    asked = f'<form data-ceremony="{kind}" data-options="{escape(options)}" '
    return Markup(
        '<p id="told" role="status"></p>'
        + form.replace("<form ", asked, 1)
        + '<noscript><p class="notice bad" role="alert">'
        f"Security keys and passkeys need JavaScript.{plain(otherwise)}</p></noscript>"
    )


def password_form(
    action: str, fields: Mapping[str, str], label: str, submit: str, hint: str
) -> Markup:
    """A form that posts `fields` and the `response` that an authenticator app shows."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    key = escape(f"response-{fields.get('uid', '')}")
    return Markup(
        f'<form method="post" action="{escape(action)}" class="question">{hidden}'
        f'<label for="{key}">{plain(label)}</label>'
        f'<input id="{key}" name="response" required inputmode="numeric" '
        'autocomplete="one-time-code" spellcheck="false" maxlength="16" '
        f'aria-describedby="{key}-hint"><span class="about" id="{key}-hint">{plain(hint)}</span>'
        f'<button type="submit">{plain(submit)}</button></form>'
    )


def new_authenticator(action: str, ways: Iterable[tuple[str, str]]) -> Markup:
    """A form that asks what a new Authenticator shall be called, and of which kind it is.

    `ways` are values of `type`, and what the button of each says.
    """
    shown = "".join(
        f'<button type="submit" name="type" value="{escape(value)}"{quiet}>{plain(label)}</button>'
        for (value, label), quiet in zip(ways, chain([""], repeat(' class="quiet"')), strict=False)
    )
    return Markup(
        f'<form method="post" action="{escape(action)}" class="named">'
        '<label for="name">What do you call it?</label>'
        f'<input id="name" name="name" maxlength="{MAX_DISPLAY_NAME}" pattern="[ -~]*" '
        'title="Letters without accents, digits and signs" autocomplete="off" '
        'aria-describedby="name-hint"><span class="about" id="name-hint">'
        "A name by which you tell it from others, such as Blue key. You may leave it empty.</span>"
        f'<div class="buttons">{shown}</div></form>'
    )


def qr_code(text: str, described: str) -> Markup:
    """`text` as a picture that telephones read, black on white whatever the page's colours."""
    import segno

    picture = segno.make(text, error="m", micro=False).svg_data_uri(
        scale=5, border=4, dark="#000", light="#fff"
    )
    return Markup(
        f'<p><img class="code" src="{escape(picture)}" alt="{escape(described)}" '
        'width="240" height="240"></p>'
    )


@cache
def _script(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
