"""A small Cluster in memory, for validation to look things up in."""

from __future__ import annotations

import textwrap
import uuid
from typing import TYPE_CHECKING, Any

from octelium.schema.documents import parse_documents
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation import complete, validate

if TYPE_CHECKING:
    from collections.abc import Iterable

Resources = list[Any]

NOW = 1_900_000_000.0
"""17 March 2030."""

BASE = """
kind: Namespace
metadata: {name: default}
spec: {}
---
kind: Namespace
metadata: {name: prod}
spec: {}
---
kind: Policy
metadata: {name: allow-all}
spec: {rules: [{effect: ALLOW, condition: {matchAny: true}}]}
---
kind: Group
metadata: {name: ops}
spec: {}
---
kind: User
metadata: {name: alice}
spec: {type: HUMAN, email: alice@acme.test}
---
kind: User
metadata: {name: ci}
spec: {type: WORKLOAD}
---
kind: Secret
metadata: {name: token}
spec: {}
data: {value: s3cret}
---
kind: Config
metadata: {name: geo}
spec: {}
data: {valueBytes: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACrze9NYXhNaW5kLmNvbeA=}
"""


class World:
    """Satisfies View and ExpressionChecker. `checked` lists the paths of checked expressions."""

    def __init__(self, text: str = BASE) -> None:
        self.resources: dict[tuple[str, str], Any] = {}
        self.checked: list[str] = []
        region = core.Region(kind="Region")
        region.metadata.name = "default"
        self.put(region)
        self.apply(text)

    def get(self, kind: str, name: str) -> Any | None:
        return self.resources.get((kind, name))

    def list(self, kind: str) -> Iterable[Any]:
        return [resource for (found, _), resource in self.resources.items() if found == kind]

    def labelled(self, kind: str, label: str, value: str) -> Iterable[Any]:
        return [r for r in self.list(kind) if r.metadata.spec_labels.get(label) == value]

    def check_condition(self, condition: core.Condition, path: str) -> None:
        form = condition.WhichOneof("type")
        if form == "match":
            self.check_cel(condition.match, f"{path}.match")
        elif form == "not_":
            self.check_cel(condition.not_, f"{path}.not")
        elif form == "opa":
            self.check_rego(condition.opa.inline, f"{path}.opa.inline")
        elif form in {"all", "any", "none"}:
            for index, child in enumerate(getattr(condition, form).of):
                self.check_condition(child, f"{path}.{form}.of[{index}]")

    def check_cel(self, text: str, path: str) -> None:
        """Knows just enough of CEL: brackets that close, no dangling dot, no unknown function."""
        self.checked.append(path)
        if text.count("(") != text.count(")") or text.endswith(".") or "foo(" in text:
            raise Invalid(path, "is not a CEL expression")

    def check_groups(self, config: core.Config) -> None:
        """Knows the one member."""
        self.checked.append(config.metadata.name)
        if "groups" not in config.data.attrs.fields:
            raise Invalid("data.attrs", "says no groups")

    def check_rego(self, text: str, path: str) -> None:
        self.checked.append(path)
        if not text.startswith("package "):
            raise Invalid(path, "is not a Rego module")

    def put(self, resource: Any) -> None:
        resource.metadata.uid = resource.metadata.uid or str(uuid.uuid4())
        self.resources[resource.kind, resource.metadata.name] = resource

    def read(self, text: str) -> Resources:
        documents = parse_documents(textwrap.dedent(text), "test", any_kind=True)
        return [document.message for document in documents]

    def validate(self, resource: Any, old: Any = None) -> None:
        validate(resource, self, old=old, expressions=self, now=NOW)

    def apply(self, text: str) -> Resources:
        """Create or update what a text declares; the stored resources."""
        stored = []
        for resource in self.read(text):
            name = resource.metadata.name
            old = self.get(resource.kind, name) or self.get(resource.kind, f"{name}.default")
            self.validate(resource, old)
            if old is not None:
                resource.metadata.uid = old.metadata.uid
            complete(resource, self)
            self.put(resource)
            stored.append(resource)
        return stored

    def refusal(self, text: str) -> Invalid:
        """Why the last resource of a text is refused; those before it are applied."""
        *before, last = self.read(text)
        for resource in before:
            self.validate(resource)
            complete(resource, self)
            self.put(resource)
        old = self.get(last.kind, last.metadata.name)
        written = last.SerializeToString(deterministic=True)
        try:
            self.validate(last, old)
        except Invalid as refused:
            assert last.SerializeToString(deterministic=True) == written
            return refused
        raise AssertionError("nothing was refused")


def service(spec: str, name: str = "wiki") -> str:
    """The document of a Service with a spec in flow style."""
    return f"kind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def web(config: str) -> str:
    """A Service of mode WEB with the given parts of its config, in flow style."""
    return service(f'{{mode: WEB, config: {{upstream: {{url: "http://h"}}, {config}}}}}')
