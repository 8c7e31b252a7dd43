"""What a Cluster tells about its decisions: one request, who may what, and what would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.client.changes import wrap
from octelium.client.errors import ApiError
from octelium.schema.jsonform import to_json
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.client.api import Authorized

_DEADLINE = 300.0
"""Seconds. A preview compares every User with every Service."""


def explain(service: Authorized, request: ext.ExplainRequest) -> ext.Explanation:
    """Why a request is decided as it is. Raises ApiError, also for an answer that can be none."""
    explanation: ext.Explanation = _call(service, "Explain", request)
    try:
        to_json(explanation)
    except ValueError as error:  # such as a time that no calendar has
        problem = f"the Cluster's answer makes no sense: {error}"
        raise ApiError("INTERNAL", problem, "Explain") from None
    return explanation


def list_access(service: Authorized, *, user: str = "", target: str = "") -> ext.ListAccessResponse:
    """What new Sessions of a User (empty: of all) may do with the Service `target` (empty: all).

    Raises ApiError.
    """
    request = ext.ListAccessRequest(user=user, service=target)
    response: ext.ListAccessResponse = _call(service, "ListAccess", request)
    return response


def preview_access(
    service: Authorized,
    messages: Sequence[Any],
    *,
    prune_kinds: Sequence[str] = (),
    prune_builtin: bool = False,
    logged_requests: int,
) -> ext.PreviewAccessResponse:
    """What an apply would change for whom, and in decisions on the newest logged requests.

    Raises ApiError, as the apply would.
    """
    apply = ext.ApplyRequest(
        resources=[wrap(message) for message in messages],
        dry_run=True,
        prune=bool(prune_kinds),
        prune_kinds=prune_kinds,
        prune_builtin=prune_builtin,
    )
    request = ext.PreviewAccessRequest(apply=apply, logged_requests=logged_requests)
    response: ext.PreviewAccessResponse = _call(service, "PreviewAccess", request)
    return response


def _call(service: Authorized, method: str, request: Any) -> Any:
    try:
        return service.call(method, request, deadline=_DEADLINE)
    except ApiError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        raise ApiError(
            error.code,
            "this Cluster does not explain its decisions",
            error.method,
            "it is another implementation of Octelium or an older version; "
            "`octeliumctl policy test` decides on files alone",
        ) from error
