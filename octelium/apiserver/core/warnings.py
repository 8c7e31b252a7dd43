"""What is warned of when resources are written: what is likely wrong, or does nothing here.

A reply of `octelium.ext.v1` has a field for them. Those of core.v1 carry them in their trailing
metadata, which official clients do not look at.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import grpc

from octelium.apiserver.core.deployment import deployment_findings
from octelium.apiserver.rpc import ApiError
from octelium.policy.lint import Attachments, attachment_of, review
from octelium.schema.errors import sentence
from octelium.schema.names import parent_policy_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from octelium.apiserver.core.deployment import AskController, ControllerHealth
    from octelium.apiserver.core.rules import Rules
    from octelium.apiserver.rpc import Authorize, Call
    from octelium.policy.lint import Finding
    from octelium.policy.shape.contexts import Attachment
    from octelium.store.reading import Reader

TRAILER: Final = "octelium-warnings-bin"
"""Carries an `octelium.ext.v1.ApplyErrors` with the warnings of a call that succeeded."""
ERRORS_TRAILER: Final = "octelium-apply-errors-bin"
"""Carries an `octelium.ext.v1.ApplyErrors` with what was refused."""
STRICT: Final = "octelium-strict"
"""Metadata of a request; with any value but the empty one, warnings refuse."""

_TRAILER_BYTES = 4_000
_SERVICE: Final = core.DESCRIPTOR.services_by_name["MainService"].full_name
_HOLDERS: Final = ("Namespace", "User", "Group", "Credential", "Device", "Session", "ClusterConfig")
"""Kinds other than Service whose spec attaches Policies."""
_READING: Final = (
    *(f"List{kind}" for kind in ("Service", *_HOLDERS) if kind != "ClusterConfig"),
    "GetClusterConfig",
)
"""What says officially where Policies are attached."""


async def may_see_attachments(authorize: Authorize, call: Call) -> bool:
    """Whether the caller may read all that tells where Policies are attached.

    Whether a warning comes depends on all of it.
    """
    for method in _READING:
        if not await authorize(call, f"/{_SERVICE}/{method}"):
            return False
    return True


class StoredAttachments:
    """Where Policies are attached, as a reader sees it; each question is answered once.

    `reviewed` are Policies that are looked at by themselves. Without `named`, Services are not told
    about the Policies that they name: whoever may write a Service may not be one to read those.
    Without `visible`, Policies are told about no attachments: see `may_see_attachments`.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        visible: bool,
        reviewed: Container[str] = (),
        named: bool = False,
    ) -> None:
        self._reader = reader
        self._visible = visible
        self._reviewed = reviewed
        self._named = named

    def services(self, policy: str) -> frozenset[Attachment]:
        """The Services to which a Policy, or one below it, is attached by name."""
        return self._by_services.get(policy, frozenset()) if self._visible else frozenset()

    def elsewhere(self, policy: str) -> bool:
        """Whether it is attached to anything else too."""
        return self._visible and policy in self._by_others

    def policy(self, name: str) -> core.Policy | None:
        """The Policy of a name, if Services are told about it."""
        if not self._named or name in self._reviewed:
            return None
        found: core.Policy | None = self._reader.peek("Policy", name=name)
        return found

    @cached_property
    def _by_services(self) -> dict[str, frozenset[Attachment]]:
        found: dict[str, set[Attachment]] = {}
        for service in self._reader.peek_all("Service"):
            for name in with_ancestors(service.spec.authorization.policies):
                found.setdefault(name, set()).add(attachment_of(service))
        return {name: frozenset(attachments) for name, attachments in found.items()}

    @cached_property
    def _by_others(self) -> frozenset[str]:
        return frozenset(self._others())

    def _others(self) -> Iterator[str]:
        for kind in _HOLDERS:
            for message in self._reader.peek_all(kind):
                yield from with_ancestors(message.spec.authorization.policies)
        for trigger in self._reader.peek_all("PolicyTrigger"):
            yield from with_ancestors(trigger.status.policies)


def with_ancestors(names: Iterable[str]) -> Iterator[str]:
    """Names of Policies, each with those that contribute along with it."""
    for name in names:
        following: str | None = name
        while following:
            yield following
            following = parent_policy_name(following)


def findings_of(
    message: Any, attachments: Attachments, controller: ControllerHealth
) -> list[Finding]:
    """What is likely wrong with a resource in a Cluster whose containers `controller` deploys."""
    return [
        *review(message, attachments),
        *deployment_findings(message, controller),
    ]


def warn(
    call: Call,
    rules: Rules,
    message: Any,
    reader: Reader,
    *,
    visible: bool,
    controller: AskController,
) -> None:
    """Warn the caller of what is likely wrong with a resource that has been written.

    `visible` is what `may_see_attachments` says of the caller; see `findings_of`.

    Raises:
        ApiError: there is something, and the caller wants to be refused then.
    """
    attachments: Attachments = StoredAttachments(reader, visible=visible)
    findings = findings_of(message, attachments, controller())
    if not findings:
        return
    name = message.metadata.name
    packed_findings = packed(warning(rules, name, finding) for finding in findings)
    if call.metadata.get(STRICT):
        call.trailers.append((ERRORS_TRAILER, packed_findings))
        text = "\n".join(sentence(one.path, one.problem, one.remedy) for one in findings)
        raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, text)
    call.trailers.append((TRAILER, packed_findings))


def warning(rules: Rules, name: str, finding: Finding, index: int | None = None) -> ext.ApplyError:
    """A finding in the form in which it is sent; `index` is the resource's place in an apply."""
    return ext.ApplyError(
        index=index,
        kind=rules.name,
        name=name,
        path=finding.path,
        problem=finding.problem,
        remedy=finding.remedy,
    )


def packed(errors: Iterable[ext.ApplyError]) -> bytes:
    """As many as fit into metadata, serialised."""
    message = ext.ApplyErrors()
    for error in errors:
        if message.ByteSize() + error.ByteSize() > _TRAILER_BYTES:
            break
        message.errors.append(error)
    return message.SerializeToString()
