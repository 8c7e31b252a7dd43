"""What has become of one container: the objects that it needs, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from octelium.controller.objects.names import APPLIED

Manifest = dict[str, Any]
"""An object of Kubernetes as JSON has it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a container from being deployed: one word for programs, a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Desired:
    """The objects of one container in the order to apply, or the problems.

    `name` is that of the Deployment, the Service and the NetworkPolicy. With a problem there are no
    objects: what runs already is left as it is. Only `policy`, the NetworkPolicy, is applied to it.
    """

    name: str
    objects: tuple[Manifest, ...] = ()
    problems: tuple[Problem, ...] = ()
    policy: Manifest | None = None

    @property
    def mark(self) -> tuple[object, ...]:
        """What tells it from another wish for the same container."""
        made = self.objects if self.policy is None else (*self.objects, self.policy)
        metas = (value["metadata"] for value in made)
        return self.problems, *((one["name"], one["annotations"][APPLIED]) for one in metas)
