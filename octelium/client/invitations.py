"""Invitations that a Cluster makes: links by which people sign in for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from octelium.client.api import Authorized


def invite(service: Authorized, user: str) -> ext.InviteResponse:
    """A link for the User of a name or uid. Raises ApiError."""
    response: ext.InviteResponse = _call(service, "Invite", ext.InviteRequest(user=user))
    return response


def revoke(service: Authorized, user: str) -> bool:
    """Make a User's link void; whether there was one. Raises ApiError."""
    request = ext.DeleteInvitationRequest(user=user)
    response: ext.DeleteInvitationResponse = _call(service, "DeleteInvitation", request)
    return response.deleted


def _call(service: Authorized, method: str, request: Any) -> Any:
    try:
        return service.call(method, request)
    except ApiError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        raise ApiError(
            error.code,
            "this Cluster does not invite people",
            error.method,
            "it is another implementation of Octelium or an older version; people sign in there "
            "through an IdentityProvider",
        ) from error
