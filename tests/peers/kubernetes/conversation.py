"""The same requests for the emulated and a real API server, and answers that can be compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from pathlib import Path

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
JSON_PATCH = "application/json-patch+json"
_DROPPED = frozenset({"uid", "creationTimestamp", "resourceVersion", "time", "description"})
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"10\.96\.\d+\.\d+"), "ADDRESS"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"current: \d+"), "current: N"),
    (re.compile(r"^\d+s$"), "AGE"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `keep`: what later steps put in as `{name}`, and from where in the metadata."""

    method: str
    path: str
    body: Any = None
    sort: str = "application/json"
    user: str = "admin"
    accept: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, without what differs from run to run."""

    code: int
    body: Any


def hold(url: str, ca: Path | None, tokens: dict[str, str], steps: list[Step]) -> list[Answer]:
    """Make the requests in order."""
    import ssl

    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    kept: dict[str, str] = {}
    answers = []
    with httpx.Client(base_url=url, verify=context, timeout=60, trust_env=False) as client:
        for step in steps:
            headers = {"Accept": step.accept, "Content-Type": step.sort}
            if step.user:
                headers["Authorization"] = f"Bearer {tokens[step.user]}"
            text = "" if step.body is None else json.dumps(step.body)
            query = dict(step.query)
            for name, value in kept.items():
                text = text.replace(f"{{{name}}}", value)
                query = {key: one.replace(f"{{{name}}}", value) for key, one in query.items()}
            got = client.request(
                step.method, step.path, params=query, headers=headers, content=text or None
            )
            body = _read(got)
            for name, what in step.keep.items():
                kept[name] = str(body["metadata"][what])
            answers.append(Answer(got.status_code, plain(body)))
    return answers


def _read(got: httpx.Response) -> Any:
    if "json" not in got.headers.get("content-type", ""):
        return got.text
    lines = got.text.strip().splitlines()
    if len(lines) > 1 and lines[0].startswith('{"type":'):
        return [json.loads(line) for line in lines]
    made = json.loads(got.text)
    return [made] if isinstance(made, dict) and set(made) == {"type", "object"} else made


def plain(value: Any) -> Any:
    """Without uids, times, versions and addresses; what is equal but for order, in order."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        made = {
            key: plain(one) for key, one in value.items() if key not in _DROPPED or key == "f:uid"
        }
        if "managedFields" in made:
            made["managedFields"] = sorted(made["managedFields"], key=json.dumps)
        if "continue" in made:
            made["continue"] = "MARK"
        if str(made.get("kind", "")).startswith("SelfSubject"):
            made.pop("metadata", None)
        causes = (made.get("details") or {}).get("causes", [])
        if len(causes) > 1 or any(one.get("field") == "patch" for one in causes):
            made["message"] = "several, in any order; or a whole object"
            told = [one | {"message": ""} if one["field"] == "patch" else one for one in causes]
            made["details"]["causes"] = sorted(told, key=json.dumps)
        return made
    if isinstance(value, str):
        for pattern, text in _VARYING:
            value = pattern.sub(text, value)

    return value
