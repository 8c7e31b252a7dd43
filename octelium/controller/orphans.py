"""Which of a container's objects nobody wants any more, and which of them may go now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.controller.kube.kinds import DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from octelium.controller.kube.kinds import Kind

Object = dict[str, Any]
Found = tuple["Kind", Object]


def leftovers(
    found: Iterable[Found], wanted: Collection[tuple[Kind, str]], *, settled: bool
) -> tuple[Found, ...]:
    """Objects of a container that is wanted, but not with them.

    Pods of the earlier specification may still need their Secrets: those wait until the rollout is
    `settled`.
    """
    return tuple(
        (kind, value)
        for kind, value in _staying(found)
        if (kind, value["metadata"]["name"]) not in wanted and (settled or kind is not SECRET)
    )


def remains(found: Collection[Found], *, pods: int) -> tuple[Found, ...]:
    """Objects that go next of a container that is not wanted.

    Its Pods lose what keeps them from private addresses only once they are gone.
    """
    staying = _staying(found)
    first = tuple(one for one in staying if one[0] in (DEPLOYMENT, SERVICE))
    if pods or any(kind is DEPLOYMENT for kind, _ in found):
        return first
    return first + tuple(one for one in staying if one[0] in (NETWORK_POLICY, SECRET))


def _staying(found: Iterable[Found]) -> list[Found]:
    """Those that are not on their way out already."""
    return [one for one in found if not one[1]["metadata"].get("deletionTimestamp")]
