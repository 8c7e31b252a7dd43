"""Changes of a Cluster: planned, shown, and then made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from octelium.cli.applying import changed, placed_error
from octelium.cli.diff import difference as lines_of
from octelium.cli.linting import lint
from octelium.cli.policy.preview import preview_lines
from octelium.cli.warned import text_of
from octelium.client.changes import Stepwise, apply, declared
from octelium.client.client import is_foreign
from octelium.client.errors import ApiError
from octelium.client.insight import preview_access
from octelium.client.resources import CHANGED
from octelium.schema.documents import dump_yaml, parse_documents
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.schema.pb import core_v1_pb2 as core
from octelium.tui.lines import Line, Tone, difference, section, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.client.client import Client
    from octelium.schema.documents import Document
    from octelium.schema.kinds import Kind
    from octelium.schema.pb import ext_v1_pb2 as ext

LOGGED: Final = 1000
"""Newest requests of the log that a preview decides again."""
_MARKS: Final = {"+": Tone.GOOD, "-": Tone.BAD, "~": Tone.WARN, "!": Tone.BAD}
_HEADER: Final = """\
# Save and close to see what this changes; leave it as it is, or empty it, to change nothing.
# Lines that begin with # are left out.
"""


@dataclass(slots=True)
class Plan:
    """What a text would change. `original` is None for something new."""

    kind: Kind
    document: Document
    original: Any
    lines: list[Line] = field(default_factory=list)
    is_empty: bool = False

    @property
    def name(self) -> str:
        """The resource's name, as it stands in the text."""
        return str(self.document.message.metadata.name)


def text_of_resource(item: Any) -> str:
    """What an editor is given of a resource."""
    return _HEADER + dump_yaml([declared(item)])


def content(text: str) -> str:
    """A text without its comments."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()


def check(kind: Kind, original: Any, text: str) -> Document:
    """Read one resource of a kind. `original`: the one it must stay. Raises InvalidDocuments."""
    documents = parse_documents(text, "text", any_kind=True)
    problem = ""
    if len(documents) != 1:
        problem = "one document is wanted"
    elif documents[0].kind is not kind:
        problem = f"the kind must be {kind.name}"
    elif original is not None and documents[0].message.metadata.name != original.metadata.name:
        problem = f"the name must stay {original.metadata.name}"
    if problem:
        raise InvalidDocuments([DocumentError("text", 1, 1, "", problem)])
    return documents[0]


class Changing:
    """The changes that a client can make. All raise ApiError, InvalidDocuments."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def plan(self, kind: Kind, original: Any, text: str) -> Plan:
        """Check a text and ask the Cluster what it would do; nothing changes."""
        document = check(kind, original, text)
        plan = Plan(kind, document, original)
        if not kind.declarable:
            self._local(plan)
            return plan
        try:
            reply = apply(self._client.api.ext, [document.message], dry_run=True)
            operations, warnings = list(reply.operations), list(reply.warnings)
        except ApiError as error:
            if not is_foreign(error):
                raise placed_error(error, [document]) from error
            steps = Stepwise(self._client.resources)
            operations = [one for one, _ in steps.plan([document.message], [])]
            warnings = lint([document])
        self._tell(plan, operations, warnings)
        return plan

    def preview(self, plan: Plan, columns: int) -> list[Line]:
        """Whose access the plan would change, and which logged requests."""
        return self._preview(plan.document.message, columns)

    def effect(self, kind: Kind, name: str, columns: int) -> list[Line]:
        """Whose access a Policy changes: what would be otherwise were it the other of enabled and
        disabled.
        """
        message = declared(self._client.resources.get(kind, name))
        message.spec.is_disabled = not message.spec.is_disabled
        state = "disabled" if message.spec.is_disabled else "enabled"
        title = told(f"If {kind.name} {name} were {state}", Tone.HEADING)
        return [*title, Line(""), *self._preview(message, columns)]

    def _preview(self, message: Any, columns: int) -> list[Line]:
        reply = preview_access(self._client.api.ext, [message], logged_requests=LOGGED)
        texts = preview_lines(reply, lambda text, *_styles: text, columns)
        lines = [line.text for text in texts for line in told(text)]
        return [Line(text, _MARKS.get(text[:1], Tone.PLAIN)) for text in lines]

    def carry_out(self, plan: Plan) -> str:
        """Do what was planned, if nobody changed the resource meanwhile; what was done."""
        resources, message = self._client.resources, plan.document.message
        if plan.original is None:
            made = resources.create(plan.kind, message)
            return f"{plan.kind.name} {made.metadata.name} created"
        name = plan.original.metadata.name
        version = plan.original.metadata.resource_version
        changed = ApiError(
            CHANGED,
            f"{plan.kind.name} {name} has been changed by somebody else meanwhile",
            "",
            "edit it again: the text then begins with that change",
        )
        # Compared here too: other implementations do not look at the version.
        if version != resources.get(plan.kind, name).metadata.resource_version:
            raise changed
        message.metadata.uid = plan.original.metadata.uid
        try:
            resources.update(plan.kind, message, if_version=version)
        except ApiError as error:
            if error.code != CHANGED:
                raise
            raise changed from error
        return f"{plan.kind.name} {name} updated"

    def delete(self, kind: Kind, name: str) -> str:
        """Delete a resource; what was done."""
        self._client.resources.delete(kind, name)
        return f"{kind.name} {name} {'revoked' if kind.name == 'Session' else 'deleted'}"

    def set_state(self, kind: Kind, name: str, state: str) -> str:
        """Set a Session, Device or Authenticator to ACTIVE or REJECTED; what was done."""
        states = {
            "Session": core.SessionSpecState__.SessionSpecState,
            "Device": core.DeviceSpecState__.DeviceSpecState,
            "Authenticator": core.AuthenticatorSpecState__.AuthenticatorSpecState,
        }[kind.name]

        def adjust(item: Any) -> None:
            item.spec.state = states.Value(state)

        self._client.resources.change(kind, name, adjust)
        return f"{kind.name} {name} is {state.lower()}"

    def set_value(self, kind: Kind, name: str, value: str, *, is_new: bool) -> str:
        """Give a Secret or Config a value, which is never shown; what was done."""
        from octelium.schema.kinds import new

        def fill(item: Any) -> None:
            item.spec.SetInParent()
            item.data.value_bytes = value.encode()

        if is_new:
            item = new(kind)
            item.metadata.name = name
            fill(item)
            self._client.resources.create(kind, item)
            return f"{kind.name} {name} created"
        self._client.resources.change(kind, name, fill)
        return f"{kind.name} {name} has a new value"

    def _local(self, plan: Plan) -> None:
        """What a text changes of a resource that no apply may hold."""
        import difflib

        before = dump_yaml([declared(plan.original)]).splitlines()
        after = dump_yaml([declared(plan.document.message)]).splitlines()
        # Both are what a document declares, so the same keys stand in the same order.
        name = f"{plan.kind.command}/{plan.name}"
        texts = difflib.unified_diff(before, after, f"cluster/{name}", f"new/{name}", lineterm="")
        plan.lines = difference("\n".join(texts)) if before != after else []
        plan.is_empty = before == after

    def _tell(
        self,
        plan: Plan,
        operations: Sequence[ext.AppliedOperation],
        warnings: Sequence[ext.ApplyError],
    ) -> None:
        plan.is_empty = not any(map(changed, operations))
        for operation in operations:
            plan.lines += difference("\n".join(lines_of(operation)))
        texts = [text_of(warning, plan.document) for warning in warnings]
        plan.lines += section("Warnings", texts, Tone.WARN)
