"""The check of expressions on this machine, for Clusters that have none.

It sees no more than the files: what a Policy is attached to in the Cluster is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.sources import stored_name
from octelium.policy.lint import review
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.policy.shape.contexts import Attachment
    from octelium.schema.documents import Document
    from octelium.schema.pb import core_v1_pb2 as core


def lint(documents: Sequence[Document]) -> list[ext.ApplyError]:
    """What is likely wrong with the resources of files; `index` is that of the document."""
    return [
        ext.ApplyError(
            index=index,
            kind=document.kind.name,
            name=stored_name(document),
            path=finding.path,
            problem=finding.problem,
            remedy=finding.remedy,
        )
        for index, document in enumerate(documents)
        for finding in review(document.message, _UNKNOWN)
    ]


class _Unknown:
    """Where Policies are attached, as far as files tell: the Cluster may attach them to more."""

    def services(self, policy: str) -> frozenset[Attachment]:  # noqa: ARG002 - the Protocol's
        return frozenset()

    def elsewhere(self, policy: str) -> bool:  # noqa: ARG002 - the Protocol's
        return True

    def policy(self, name: str) -> core.Policy | None:  # noqa: ARG002 - the Protocol's
        return None


_UNKNOWN = _Unknown()
