"""What requests say about who sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity.sessions import Downstream

if TYPE_CHECKING:
    from starlette.requests import Request


def address_of(request: Request) -> str:
    """The client's address as the proxy in front saw it; empty if it is unknown."""
    found: str = request.headers.get("x-octelium-client-address", "")
    return found


def downstream_of(request: Request) -> Downstream:
    """Who asks for an authentication."""
    return Downstream(request.headers.get("user-agent", ""), address_of(request))


def only(request: Request, name: str) -> str:
    """A parameter of the query that is there once; empty otherwise."""
    found = request.query_params.getlist(name)
    return found[0] if len(found) == 1 else ""
