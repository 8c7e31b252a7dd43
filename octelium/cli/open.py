"""`octelium open`: a Service in the browser, or how else it is reached."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.verb import verb
from octelium.cli.words import SERVICE, port_here
from octelium.client.errors import ApiError, ClientError
from octelium.schema.names import DEFAULT_NAMESPACE, full_service_name, is_label, private_fqdn

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_PAGES = frozenset({"HTTP", "WEB"})
"""Modes that a browser shows."""
_SHOWN = 20
"""Names in an error."""
_MOST = 1000


class NoSuchServiceError(ClientError):
    """There is no Service of that name that this User may see."""


@verb(
    "open",
    example="""
    octelium open wiki
    octelium open wiki.prod --print
    """,
)
@click.argument("service", type=SERVICE)
@click.option("--print", "only_print", is_flag=True, help="Print the address; open nothing.")
def open_service(invocation: Invocation, service: str, only_print: bool) -> None:
    """Open a Service in the browser, by its name as `octelium get service` lists it.

    The address is printed instead where there is no browser, where stdout is no terminal, and with
    --print. Services that no browser shows, and those that are not public, have an address in the
    private network: how to join it is told on stderr.
    """
    found = _find(invocation, service)
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


def _find(invocation: Invocation, name: str) -> Any:
    """The Service. Raises ClientError."""
    from octelium.schema.pb import meta_v1_pb2 as meta

    api = invocation.client.api.user
    if not _is_name(full_service_name(name)):
        raise _unknown(api, name)
    try:
        found = api.call("GetService", meta.GetOptions(name=full_service_name(name)))
    except ApiError as error:
        if error.code != "NOT_FOUND":
            raise
        raise _unknown(api, name) from error
    # Its name goes into an address that a browser is given.
    if not _is_name(found.metadata.name):
        raise ApiError("INTERNAL", "the Cluster tells a name that no Service has", "GetService")
    return found


def _is_name(full: str) -> bool:
    labels = full.split(".")
    return len(labels) == 2 and all(map(is_label, labels))


def _unknown(api: Any, name: str) -> NoSuchServiceError:
    from octelium.client.resources import Page
    from octelium.schema.pb import user_v1_pb2 as user

    options = user.ListServiceOptions(common=Page(size=_MOST, by_name=True).options())
    listing = api.call("ListService", options)
    names = [_short(item.metadata.name) for item in listing.items]
    own = _short(name)
    close = difflib.get_close_matches(own, names, 3) or [
        other for other in names if own.partition(".")[0] in other.split(".")
    ]
    more = len(names) > _SHOWN or listing.list_response_meta.has_more
    may = ", ".join(names[:_SHOWN]) + (", … (octelium get services)" if more else "")
    meant = f"did you mean {' or '.join(close[:3])}? " if close else ""
    return NoSuchServiceError(
        f"there is no Service {name!r}", f"{meant}There are: {may}" if names else "there are none"
    )


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
    short, port = _short(name), spec.port
    terminal.show(f"{private_fqdn(name, invocation.client.domain)}:{port}")
    here = port_here(port)
    why = f"speaks {mode or 'another protocol'}, so that no browser shows it"
    if mode in _PAGES:
        why = "is not public"
    terminal.note(
        f"{short} {why}. Reach it at this address once this host has joined the private network:\n"
        "  sudo octelium connect\n"
        f"or, without root, at localhost:{here} after:\n"
        f"  octelium connect -p {short}:{here}"
    )
    if url := service_url(invocation, name, mode, is_public=spec.is_public):
        terminal.note(f"Clients of its protocol find it at {url} as well.")
    if mode and mode not in SERVED:
        terminal.warn(f"mode {mode} is stored but not served by this version")


def _short(name: str) -> str:
    return name.removesuffix(f".{DEFAULT_NAMESPACE}")


def _is_attended() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()
