"""`octelium connect --detach`: the same command again, in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.tunnel.control import Place


def begin(invocation: Invocation, options: dict[str, Any], place: Place | None) -> None:
    """Connect with the options of `connect`. Returns once a request was answered.

    Raises:
        ClientError: nothing has been, and nothing runs.
    """
    from octelium.cli.connected import offers
    from octelium.client.tunnel import control, detach
    from octelium.client.tunnel.errors import TunnelError

    if place is None:
        raise TunnelError("--detach needs the login on disk", "give another --homedir than `mem`")
    answered = detach.start(
        place, _arguments(invocation, options, place), invocation.environ, sleep=invocation.sleep
    )
    told = control.ask(place, "status") or {}
    for name, text in offers(told):
        invocation.terminal.note(f"{name}: {text}.")
    for line in told.get("refused", ()):
        invocation.terminal.warn(str(line))
    # Of what was asked for the lines above tell; that another Service answers would not matter.
    is_asked = options["publish"] or options["serve"] or options["serve_all"]
    which = "" if is_asked else f": {answered} answers"
    invocation.terminal.note(
        f"Connected to {invocation.client.domain} in the background{which}. "
        "`octelium disconnect` ends it."
    )
    invocation.logout_wanted = False  # that is for the end of the connection


def _arguments(invocation: Invocation, options: dict[str, Any], place: Place) -> list[str]:
    """The same command again, for the background: without what proves who one is."""
    words = ["connect", "--domain", invocation.client.domain]
    words += ["--homedir", str(place.directory.absolute())]
    for name in ("endpoint", "tls_server_name"):
        if name in invocation.flags:
            words += [f"--{name.replace('_', '-')}", invocation.flags[name]]
    if "ca_file" in invocation.flags:
        words += ["--ca-file", str(Path(invocation.flags["ca_file"]).expanduser().absolute())]
    flags = {"scopes": "--scope", "dns_zones": "--dns-zone", "allowed": "--allow-range"}
    for name in ("publish", "serve", "scopes", "dns_zones", "allowed"):
        flag = flags.get(name, f"--{name}")
        for value in options[name]:
            words += [flag, value]
    for name in ("serve_all", "no_dns", "localdns"):
        if options[name]:
            words.append(f"--{name.replace('_', '-')}")
    for name in ("ip_mode", "localdns_addr"):
        if options[name]:
            words += [f"--{name.replace('_', '-')}", options[name]]
    if invocation.logout_wanted:
        words.append("--logout")
    words += ["--engine", options["engine"]]
    return [*words, "--implementation", options["implementation"]]
