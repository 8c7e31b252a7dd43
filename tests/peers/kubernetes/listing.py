"""Lists: selection, pages, versions."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes import selectors
from tests.peers.kubernetes.failure import bad_request, gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.store import Object, Store


def matching(resource: Resource, query: Mapping[str, str]) -> Callable[[Object], bool]:
    """What a query's selectors select."""
    by_labels = selectors.labels(query.get("labelSelector", ""))
    by_fields = selectors.fields(query.get("fieldSelector", ""), resource.kind)
    return lambda given: by_labels(given["metadata"].get("labels") or {}) and by_fields(given)


def page(
    store: Store, resource: Resource, namespace: str, query: Mapping[str, str]
) -> tuple[list[Object], dict[str, Any]]:
    """The objects of a list and its metadata."""
    wanted = matching(resource, query)
    with store.lock:
        version = query.get("resourceVersion", "")
        if version not in ("", "0"):
            if not version.isdigit():
                raise bad_request(_not_a_version(version))
            store.reached(int(version))
            exact = query.get("resourceVersionMatch") == "Exact"
            if exact and int(version) < store.oldest:
                raise gone(f"The provided resource version is too old: {version}")
        found = [one for one in store.all(resource, namespace) if wanted(one)]
        meta: dict[str, Any] = {"resourceVersion": str(store.version)}
        begun = query.get("continue", "")
        if begun:
            told = _told(begun)
            if told["v"] < store.oldest:
                raise gone(
                    "The provided continue parameter is too old to display a consistent list"
                    " result. You can start a new list without the continue parameter."
                )
            meta["resourceVersion"] = str(told["v"])
            found = [one for one in found if _place(one) > told["k"]]
        limit = int(query.get("limit", "0") or 0)
        if limit and len(found) > limit:
            meta["remainingItemCount"] = len(found) - limit
            found = found[:limit]
            mark = json.dumps({"v": int(meta["resourceVersion"]), "k": _place(found[-1])})
            meta["continue"] = base64.urlsafe_b64encode(mark.encode()).decode().rstrip("=")
            if query.get("labelSelector") or query.get("fieldSelector"):
                del meta["remainingItemCount"]
        return found, meta


def _not_a_version(text: str) -> str:
    return (
        f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint:'
        f' parsing "{text}": invalid syntax'
    )


def _place(given: Object) -> str:
    return f"{given['metadata'].get('namespace', '')}/{given['metadata']['name']}"


def _told(mark: str) -> dict[str, Any]:
    try:
        padded = mark + "=" * (-len(mark) % 4)
        told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        raise bad_request("continue key is not valid") from None
    return told
