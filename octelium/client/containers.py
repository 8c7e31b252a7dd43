"""The containers that a Cluster deploys for a Service, as it tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.client.client import is_foreign
from octelium.client.errors import ApiError
from octelium.schema.containers import containers_of
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.client.api import Authorized
    from octelium.schema.pb import core_v1_pb2 as core


def has_container(service: core.Service) -> bool:
    """Whether a Service asks for a container."""
    return any(True for _ in containers_of(service.spec))


def states_of(
    api: Authorized, service: core.Service, hidden: list[str]
) -> ext.ListContainersResponse | None:
    """How the containers of a Service are; None if it asks for none, or nobody tells.

    Another implementation of Octelium and older versions do not. Where the caller may not ask,
    that is added to `hidden`. `api` is `octelium.ext.v1`.

    Raises ApiError.
    """
    return states_among(api, [service], hidden)


def states_among(
    api: Authorized, services: Sequence[core.Service], hidden: list[str]
) -> ext.ListContainersResponse | None:
    """The same of several Services, by one call; those of others may be told of, too."""
    asking = [one.metadata.name for one in services if has_container(one)]
    if not asking:
        return None
    request = ext.ListContainersRequest(service=asking[0] if len(asking) == 1 else "")
    try:
        reply: ext.ListContainersResponse = api.call("ListContainers", request)
    except ApiError as error:
        if error.code == "PERMISSION_DENIED":
            hidden.append("containers")
        elif not is_foreign(error):
            raise
        return None
    return reply
