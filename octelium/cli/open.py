"""`octelium open`: a Service in the browser, or how else it is reached."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.services import find_service, short
from octelium.cli.verb import verb
from octelium.cli.words import SERVICE, port_here
from octelium.schema.names import private_fqdn

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_PAGES = frozenset({"HTTP", "WEB"})
"""Modes that a browser shows."""


@verb(
    "open",
    example="""
    octelium open wiki
    octelium open wiki.prod --print
    octelium open https://wiki.example.com
    """,
)
@click.argument("service", type=SERVICE)
@click.option("--print", "only_print", is_flag=True, help="Print the address; open nothing.")
def open_service(invocation: Invocation, service: str, only_print: bool) -> None:
    """Open a Service in the browser, by its name or address as `octelium get services` lists them.

    The address is printed instead where there is no browser, where stdout is no terminal, and with
    --print. Services that no browser shows, and those that are not public, have an address in the
    private network: how to join it is told on stderr.
    """
    found = find_service(invocation, service)
    url = _page(invocation, found)
    if url is None:
        _tell_private(invocation, found)
        return
    from octelium.client.surroundings import open_address, opener

    command = None if only_print or not _is_attended() else opener(invocation.environ)
    if command is not None and open_address(command, url):
        invocation.terminal.note(f"Opened in the browser: {url}")
    else:
        invocation.terminal.show(url)


def _page(invocation: Invocation, service: Any) -> str | None:
    """What a browser shows; None where the Service has no page that can be reached from here."""
    from octelium.cli.columns import enum_name
    from octelium.cli.urls import service_url

    spec, name = service.spec, service.metadata.name
    mode = enum_name(spec, "type")
    if mode not in _PAGES:
        return None
    if url := service_url(invocation, name, mode, is_public=spec.is_public):
        return url
    scheme = "https" if spec.is_tls else "http"
    connection = _connection(invocation)
    for each in connection.get("published", ()):
        if each.get("service") == name:
            return f"{scheme}://localhost:{each.get('port')}"
    from octelium.client.tunnel.host import HostSide

    if connection.get("state") == "connected" and connection.get("network") == HostSide.name:
        return f"{scheme}://{private_fqdn(name, invocation.client.domain)}:{spec.port}"
    return None


def _connection(invocation: Invocation) -> dict[str, Any]:
    """How this host is connected; empty if it is not."""
    from octelium.client.home import state_directory
    from octelium.client.tunnel.control import Place, ask

    directory = state_directory(invocation.flags.get("homedir"), invocation.environ)
    if directory is None:
        return {}
    return ask(Place(directory, invocation.client.domain), "status") or {}


def _tell_private(invocation: Invocation, service: Any) -> None:
    """Show the private address, and how one comes there."""
    from octelium.cli.columns import enum_name
    from octelium.cli.modes import SERVED
    from octelium.cli.urls import service_url

    terminal, spec = invocation.terminal, service.spec
    name, mode = service.metadata.name, enum_name(spec, "type")
    shown, port = short(name), spec.port
    terminal.show(f"{private_fqdn(name, invocation.client.domain)}:{port}")
    here = port_here(port)
    why = f"speaks {mode or 'another protocol'}, so that no browser shows it"
    if mode in _PAGES:
        why = "is not public"
    terminal.note(
        f"{shown} {why}. Reach it at this address once this host has joined the private network:\n"
        "  sudo octelium connect\n"
        f"or, without root, at localhost:{here} after:\n"
        f"  octelium connect -p {shown}:{here}"
    )
    if url := service_url(invocation, name, mode, is_public=spec.is_public):
        terminal.note(f"Clients of its protocol find it at {url} as well.")
    if mode and mode not in SERVED:
        terminal.warn(f"mode {mode} is stored but not served by this version")


def _is_attended() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()
