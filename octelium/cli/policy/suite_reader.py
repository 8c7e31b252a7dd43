"""Files of tests, read strictly: every field is known, and every fault has its place.

A file is one YAML document::

    files: [policies.yaml]      # resources, relative to the file; default: all beside it
    service: wiki               # default for the cases
    at: 2026-01-31T12:00:00Z    # the time of the requests; default: now
    cases:
      - name: readers may read
        who: [ann, {credential: robot-key}]
        request: [GET /, GET /items?page=2]
        expect: allow
        rule: read-only

`who`, `service` and `request` may be lists: each combination is a case of its own.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

from octelium.cli.policy.data import only, placed, read_trees
from octelium.cli.policy.requests import read_request
from octelium.cli.policy.suite import EXPECTATIONS, PolicyCase, Suite, Who
from octelium.identity.scopes import ScopeError, parse_scopes
from octelium.schema import json_reader
from octelium.schema.errors import InvalidDocuments
from octelium.schema.json_reader import Problem
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.suggestion import did_you_mean
from octelium.schema.yaml_faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from octelium.schema.errors import Step

_FILE: Final = ("files", "service", "at", "cases")
_CASE: Final = ("name", "who", "service", "request", "at", "expect", "rule", "config")
_WHO: Final = (
    *("user", "credential", "anonymous"),
    *("type", "aal", "isBrowser", "scopes", "session", "device"),
)
ANONYMOUS: Final = "anonymous"
MAX_CASES: Final = 10_000
"""Cases of one file, combinations counted."""

_NAMES: Final = "tests are in files *.test.yaml"
_WRITE_WHO: Final = "write a User's name, anonymous, or an object with user: or credential:"


def read_suite(text: str, source: str) -> Suite:
    """The tests that a file's text holds. Raises InvalidDocuments with every fault."""
    trees = read_trees(text, source)
    for tree in trees:
        if isinstance(tree.value, dict) and "kind" in tree.value and "cases" not in tree.value:
            problem = Problem(("kind",), "this file declares resources", _NAMES)
            raise InvalidDocuments(
                [placed(source, tree, Fault(tree.line_of(problem.steps), problem))]
            )
    tree = only(trees, source)
    reading = _Reading(source)
    suite = reading.suite(tree.value, lambda steps: tree.line_of(steps))
    if reading.problems:
        faults = [Fault(tree.line_of(problem.steps), problem) for problem in reading.problems]
        raise InvalidDocuments(
            [placed(source, tree, fault) for fault in sorted(faults, key=lambda fault: fault.line)]
        )
    return suite


class _Reading:
    """One run: the problems that it met."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def refuse(self, steps: tuple[Step, ...], problem: str, remedy: str = "") -> None:
        self.problems.append(Problem(steps, problem, remedy))

    def adopt(self, steps: tuple[Step, ...], problems: Iterable[Problem]) -> None:
        self.problems += (Problem((*steps, *p.steps), p.problem, p.remedy) for p in problems)

    def suite(self, value: Any, line_of: Any) -> Suite:
        nothing = Suite(self.source, None, ())
        if not isinstance(value, dict):
            self.refuse((), "is no file of tests", "write cases: with a list")
            return nothing
        if "kind" in value and "cases" not in value:
            self.refuse(("kind",), "this file declares resources", "tests are in files *.test.yaml")
            return nothing
        self.known(value, _FILE, ())
        files = value.get("files")
        if files is not None:
            files = tuple(self.texts(files, ("files",)))
        service = self.text(value, "service", ())
        at = self.instant(value, ())
        cases = value.get("cases")
        if not isinstance(cases, list) or not cases:
            self.refuse(("cases",), "has no cases", "write a list of cases")
            return nothing
        read: list[PolicyCase] = []
        for index, case in enumerate(cases):
            steps = ("cases", index)
            if not isinstance(case, dict):
                self.refuse(steps, "is no case", "write name:, who:, request: and expect:")
                continue
            read += self.case(case, steps, service, at, line_of(steps))
            if len(read) > MAX_CASES:
                self.refuse(steps, f"more than {MAX_CASES} cases", "split the file")
                break
        return Suite(self.source, files, tuple(read))

    def case(
        self,
        value: dict[str, Any],
        steps: tuple[Step, ...],
        service: str,
        at: float | None,
        line: int,
    ) -> list[PolicyCase]:
        """The cases that one entry stands for."""
        before = len(self.problems)
        self.known(value, _CASE, steps)
        name = self.text(value, "name", steps)
        if not name:
            self.refuse((*steps, "name"), "a name is missing", "say what must hold")
        expect = self.text(value, "expect", steps)
        if expect not in EXPECTATIONS:
            remedy = did_you_mean(
                expect, EXPECTATIONS, otherwise=f"one of {', '.join(EXPECTATIONS)}"
            )
            missing = "is missing" if not expect else f"{expect[:60]!r} is no decision"
            self.refuse((*steps, "expect"), missing, remedy)
        if "who" not in value:
            self.refuse((*steps, "who"), "is missing", _WRITE_WHO)
        for key in ("who", "service", "request"):
            if value.get(key) == []:
                self.refuse((*steps, key), "is empty", "an empty list would be no case at all")
        who = [self.who(item, place) for item, place in _each(value, "who", steps)]
        services = [self.service(item, place) for item, place in _each(value, "service", steps)]
        if "service" not in value:
            if not service:
                self.refuse((*steps, "service"), "is missing", "name a Service")
            services = [service]
        requests: list[tuple[str, dict[str, Any] | None]] = [("", None)]
        if value.get("request") is not None:
            requests = [self.request(*item) for item in _each(value, "request", steps)]
        moment = at if value.get("at") is None else self.instant(value, steps)
        rule, config = self.text(value, "rule", steps), self.text(value, "config", steps)
        if len(self.problems) > before:
            return []
        varied = [isinstance(value.get(key), list) for key in ("who", "service", "request")]
        found = []
        for person, target, (label, request) in product(who, services, requests):
            parts = (person.label, target, label)
            shown = ", ".join(part for part, vary in zip(parts, varied, strict=True) if vary)
            full = f"{name} [{shown}]" if shown else name
            found.append(
                PolicyCase(
                    self.source, line, full, person, target, request, moment, expect, rule, config
                )
            )
            if len(found) > MAX_CASES:
                break
        return found

    def who(self, value: Any, steps: tuple[Step, ...]) -> Who:
        if value == ANONYMOUS:
            return Who(ANONYMOUS)
        if isinstance(value, str) and value:
            return Who(value, user=value)
        if not isinstance(value, dict):
            self.refuse(steps, "expected somebody", _WRITE_WHO)
            return Who("")
        self.known(value, _WHO, steps)
        user, credential = (self.text(value, key, steps) for key in ("user", "credential"))
        nobody = self.flag(value, ANONYMOUS, steps)
        if bool(user) + bool(credential) + bool(nobody) != 1:
            self.refuse(steps, "needs one of user, credential and anonymous", _WRITE_WHO)
        session = self.session(value, steps)
        device = self.device(value, steps)
        if nobody and (session or device):
            self.refuse(steps, "nobody has no Session and no Device", "name a user")
        more = ", ".join(f"{key} {_brief(value[key])}" for key in _WHO[3:] if key in value)
        label = user or credential or ANONYMOUS
        return Who(f"{label} ({more})" if more else label, user, credential, session, device)

    def session(self, value: dict[str, Any], steps: tuple[Step, ...]) -> dict[str, Any]:
        """The fields of a Session: those of `session`, and the short forms of some."""
        fields = value.get("session") or {}
        self.message(core.Session(), fields, (*steps, "session"))
        fields = fields if isinstance(fields, dict) else {}
        status: dict[str, Any] = {}
        for key in ("type", "isBrowser"):
            if key in value:
                status[key] = value[key]
                self.message(core.SessionStatus(), {key: value[key]}, steps)
        if "scopes" in value:
            status["scopes"] = self.scopes(value["scopes"], (*steps, "scopes"))
        if "aal" in value:
            self.message(core.SessionStatusAuthenticationInfo(), {"aal": value["aal"]}, steps)
            status["authentication"] = {"info": {"aal": value["aal"]}}
        return merged(fields, {"status": status}) if status else fields

    def scopes(self, value: Any, steps: tuple[Step, ...]) -> list[Any]:
        """Scopes in JSON form, from texts such as `service:wiki`."""
        try:
            return [to_json(scope) for scope in parse_scopes(self.texts(value, steps))]
        except ScopeError as error:
            self.refuse(steps, str(error))
            return []

    def device(self, value: dict[str, Any], steps: tuple[Step, ...]) -> dict[str, Any]:
        """The fields of a Device, which is an active one unless they say otherwise."""
        if value.get("device") is None:
            return {}
        fields = value["device"]
        self.message(core.Device(), fields, (*steps, "device"))
        active = {"spec": {"state": "ACTIVE"}}
        return merged(active, fields) if isinstance(fields, dict) else {}

    def message(self, message: Any, value: Any, steps: tuple[Step, ...]) -> None:
        self.adopt(steps, json_reader.read(message, value))

    def request(self, value: Any, steps: tuple[Step, ...]) -> tuple[str, dict[str, Any] | None]:
        request, problems = read_request(value)
        self.adopt(steps, problems)
        return _request_label(value, request), request

    def service(self, value: Any, steps: tuple[Step, ...]) -> str:
        if isinstance(value, str) and value:
            return value
        self.refuse(steps, "expected the name of a Service")
        return ""

    def known(
        self, value: Mapping[Any, Any], fields: tuple[str, ...], steps: tuple[Step, ...]
    ) -> None:
        for key in value:
            if key not in fields:
                remedy = did_you_mean(
                    str(key), fields, otherwise=f"fields here: {', '.join(fields)}"
                )
                self.refuse((*steps, str(key)[:100]), "unknown field", remedy)

    def text(self, value: Mapping[str, Any], key: str, steps: tuple[Step, ...]) -> str:
        found = value.get(key)
        if found is None:
            return ""
        if not isinstance(found, str):
            self.refuse((*steps, key), "expected a text", "put it in quotes")
            return ""
        return found

    def texts(self, value: Any, steps: tuple[Step, ...]) -> list[str]:
        items = value if isinstance(value, list) else [value]
        for index, item in enumerate(items):
            if not isinstance(item, str) or not item:
                self.refuse((*steps, index), "expected a text", "put it in quotes")
        return [item for item in items if isinstance(item, str)]

    def flag(self, value: Mapping[str, Any], key: str, steps: tuple[Step, ...]) -> bool:
        found = value.get(key, False)
        if not isinstance(found, bool):
            self.refuse((*steps, key), "expected true or false")
            return False
        return found

    def instant(self, value: Mapping[str, Any], steps: tuple[Step, ...]) -> float | None:
        if value.get("at") is None:
            return None
        message = core.SessionSpec()
        self.adopt(
            steps,
            (
                problem._replace(steps=("at",))
                for problem in json_reader.read(message, {"expiresAt": value["at"]})
            ),
        )
        return message.expires_at.ToNanoseconds() / 1e9


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two objects as one, in which `over` wins; objects within them are merged likewise."""
    result = dict(base)
    for key, item in over.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(item, dict)
        result[key] = merged(below, item) if both else item  # type: ignore[arg-type]  # dicts
    return result


def _each(
    value: Mapping[str, Any], key: str, steps: tuple[Step, ...]
) -> list[tuple[Any, tuple[Step, ...]]]:
    """The items of a field that may be a list, with their places."""
    found = value.get(key)
    if isinstance(found, list):
        return [(item, (*steps, key, index)) for index, item in enumerate(found)]
    return [] if found is None else [(found, (*steps, key))]


def _request_label(value: Any, request: dict[str, Any] | None) -> str:
    if isinstance(value, str) or not request:
        return str(value)
    kind = next((key for key in request if key != "ip"), "ip")
    part = request[kind]
    http = part if kind == "http" else part.get("http", {}) if isinstance(part, dict) else {}
    if kind == "grpc":
        return f"{part.get('serviceFullName', '')}/{part.get('method', '')}"
    if http.get("method") and kind == "http":
        return f"{http['method']} {http.get('uri') or http.get('path', '')}"
    return f"{kind} {_brief(part)}"


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_brief(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(map(_brief, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
