from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver import ceremony
from octelium.authserver.pages import SCRIPT_PATH

if TYPE_CHECKING:
    from tests.authserver.browser import Host


async def test_the_script(host: Host) -> None:
    response = await host.client.get(SCRIPT_PATH)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "navigator.credentials" in response.text
    assert "http" not in response.text.replace("https://www.w3.org", "")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_options_pass_unchanged(options: dict[str, str]) -> None:
    text = json.dumps(options)
    form = ceremony.security_key("/x", text, {"uid": '"><script>'}, "Go", create=True)
    found = re.search(r'data-options="([^"]*)"', form)
    assert found is not None
    assert json.loads(unescape(found[1])) == options
    assert "<script>" not in form
    assert 'data-ceremony="create"' in form
    assert 'name="response" value=""' in form


@pytest.mark.parametrize("text", ["otpauth://totp/a:b?secret=ABC", "x" * 600])
def test_pictures(text: str) -> None:
    markup = ceremony.qr_code(text, 'of "what"')
    found = re.search(r'src="(data:image/svg\+xml[^"]*)"', markup)
    assert found is not None
    assert "<path" in unquote(unescape(found[1]))
    assert 'alt="of &quot;what&quot;"' in markup


def test_passwords() -> None:
    form = ceremony.password_form("/x", {"uid": "u<1>"}, "Password", "Go", "Six digits.")
    assert 'autocomplete="one-time-code"' in form
    assert 'value="u&lt;1&gt;"' in form
    assert 'for="response-u&lt;1&gt;"' in form


def test_what_a_new_one_is_called() -> None:
    form = ceremony.new_authenticator("/x", [("fido", "A key"), ('"><script>', "<script>")])
    assert "<script" not in form
    assert '<label for="name">' in form
    assert 'maxlength="120"' in form
    first, second = re.findall(r"<button[^>]*>", form)
    assert first == '<button type="submit" name="type" value="fido">'
    assert 'class="quiet"' in second
