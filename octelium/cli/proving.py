"""How `login` proves who one is: as the options say, as the environment has it, or as fits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from octelium.client.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.cli.invocation import Invocation
    from octelium.client.device_login import Code
    from octelium.client.tokens import Proof

_STDIN = "-"


def chosen_proof(
    invocation: Invocation,
    auth_token: str | None,
    assertion: str | None,
    *,
    web: bool = False,
    device: bool = False,
) -> Proof | None:
    """The proof that the options ask for; at most one of them is given.

    Without any it is that of the environment. Where that has none either, a person at a terminal is
    asked: in a browser of this computer, or by a code where there is no browser. Without a terminal
    there is no proof. Raises ClientError.
    """
    from octelium.client.proofs import AuthenticationToken, environment_proof

    client, environ = invocation.client, invocation.environ
    if auth_token == _STDIN:
        auth_token = sys.stdin.readline().strip()
        if not auth_token:
            raise SettingsError("there is no token on stdin", "write it there, on one line")
    if auth_token:
        return AuthenticationToken(auth_token)
    if assertion:
        from octelium.client.assertions import assertion_of

        return assertion_of(assertion, environ, client.domain)
    if not (web or device):
        if (proof := environment_proof(environ, client.domain)) is not None:
            return proof
        if not _is_attended():
            return None
    return _asked(invocation, web=web, device=device)


def _asked(invocation: Invocation, *, web: bool, device: bool) -> Proof:
    from octelium.client.browser_login import BrowserLogin
    from octelium.client.device_login import DeviceLogin
    from octelium.client.surroundings import opener

    host = invocation.client.login_host
    command = opener(invocation.environ)
    browser = BrowserLogin(host.origin, _shown(invocation, command))
    if web or (command is not None and not device):
        return browser
    return DeviceLogin(
        host,
        lambda code: _show_code(invocation, code),
        otherwise=None if device else browser,
        sleep=invocation.sleep,
    )


def _shown(invocation: Invocation, command: list[str] | None) -> Callable[[str], None]:
    from octelium.client.surroundings import open_address

    def show(url: str) -> None:
        opened = command is not None and open_address(command, url)
        how = "Sign in, in the browser that opens, or open" if opened else "To sign in, open"
        invocation.terminal.note(f"{how} this address on this computer:\n  {url}")

    return show


def _show_code(invocation: Invocation, code: Code) -> None:
    invocation.terminal.note(
        f"To sign in, open {code.page} in a browser anywhere, and enter the code\n"
        f"  {code.user_code}\n"
        f"or open {code.complete}"
    )


def _is_attended() -> bool:
    """Whether a person can read what is told, and is there to act on it."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
