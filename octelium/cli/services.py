"""The Services that a User may use, by the names that people write."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError, ClientError
from octelium.schema.names import DEFAULT_NAMESPACE, full_service_name, is_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.cli.invocation import Invocation

SERVICE_WORDS = ("service", "services", "svc")
NAMESPACE_WORDS = ("namespace", "namespaces", "ns")
_SHOWN = 20
"""Names in an error."""
_LONGEST = 200
"""Characters of a mistyped name in an error."""
_MOST = 1000


class NoSuchServiceError(ClientError):
    """There is no Service of that name that this User may see."""


def find_service(invocation: Invocation, text: str) -> Any:
    """The Service that a name means, or one of its host names, or an address with one of them.

    Raises NoSuchServiceError, which tells the names that there are; ApiError.
    """
    from octelium.schema.pb import meta_v1_pb2 as meta

    api = invocation.client.api.user
    for name in filter(_is_name, _readings(text, invocation.client.domain)):
        try:
            found = api.call("GetService", meta.GetOptions(name=name))
        except ApiError as error:
            if error.code != "NOT_FOUND":
                raise
            continue
        # Its name goes into an address that a browser is given.
        if not _is_name(found.metadata.name):
            raise ApiError("INTERNAL", "the Cluster tells a name that no Service has", "GetService")
        return found
    raise _unknown(api, text)


def short(name: str) -> str:
    """A Service's name without the Namespace `default`."""
    return name.removesuffix(f".{DEFAULT_NAMESPACE}")


def _readings(text: str, domain: str) -> Iterator[str]:
    """The full names that a text may mean, the plainest first."""
    kind, slash, name = text.partition("/")
    if slash and kind.lower() in SERVICE_WORDS:
        text = name
    yield full_service_name(text)
    authority = text.partition("://")[2] if "://" in text else text
    for end in "/?#":
        authority = authority.partition(end)[0]
    host = authority.rpartition("@")[2].partition(":")[0].rstrip(".").lower()
    for suffix in (f".local.{domain}", f".{domain}"):
        if host.endswith(suffix):
            yield full_service_name(host.removesuffix(suffix))
            return
    if host != text:
        yield full_service_name(host)


def _is_name(full: str) -> bool:
    labels = full.split(".")
    return len(labels) == 2 and all(map(is_label, labels))


def _unknown(api: Any, name: str) -> NoSuchServiceError:
    from octelium.client.resources import Page
    from octelium.schema.pb import user_v1_pb2 as user

    options = user.ListServiceOptions(common=Page(size=_MOST, by_name=True).options())
    listing = api.call("ListService", options)
    names = [short(item.metadata.name) for item in listing.items]
    own = short(name)
    close = difflib.get_close_matches(own, names, 3) or [
        other for other in names if own.partition(".")[0] in other.split(".")
    ]
    more = len(names) > _SHOWN or listing.list_response_meta.has_more
    may = ", ".join(names[:_SHOWN]) + (", … (octelium get services)" if more else "")
    meant = f"did you mean {' or '.join(close[:3])}? " if close else ""
    return NoSuchServiceError(
        f"there is no Service {name[:_LONGEST]!r}",
        f"{meant}There are: {may}" if names else "there are none",
    )
