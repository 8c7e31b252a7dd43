from __future__ import annotations

from typing import Any, cast

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tui import reports
from octelium.tui.lines import Line, Tone
from tests.tui.fake import attempt, item


class Service:
    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.asked: list[tuple[str, Any]] = []

    def call(self, method: str, request: Any, **_: Any) -> Any:
        self.asked.append((method, request))
        return self.reply


def test_an_explanation_is_narrated() -> None:
    reply = ext.Explanation(outcome="DENIED", summary="Refused.", notes=["a\x1bnote"])
    service = Service(reply)
    lines = reports.explain(cast("Any", service), "id-1")
    assert lines[0] == ("Refused.", Tone.BAD)
    assert service.asked[0][1].log_id == "id-1"
    assert service.asked[0][1].find_change
    assert "\x1b" not in "".join(line.text for line in lines)


def test_access_says_who_and_when() -> None:
    verdicts = ext.AccessVerdict__
    items = [
        ext.Access(user="ann", service="wiki.default", verdict=verdicts.ALLOWED, why="rule a"),
        ext.Access(user="b\x1bob", service="wiki.default", verdict=verdicts.DEPENDS,
                   depends_on=["x == 1", "y"]),
    ]  # fmt: skip
    lines = reports.access(cast("Any", Service(ext.ListAccessResponse(items=items))), target="wiki")
    texts = [line.text for line in lines]
    assert "allowed  ann" in texts
    assert "depends  b\\x1bob" in texts
    assert "         if x == 1" in texts
    assert "         and y" in texts
    empty = reports.access(cast("Any", Service(ext.ListAccessResponse())), user="ann")
    assert empty[-1].text == "Nothing."


def test_what_does_not_work_stands_first() -> None:
    parts = [
        ext.DiagnosedPart(name="workers", outcome="ok", detail="2 answer"),
        ext.DiagnosedPart(name="upstream", outcome="fail", detail="refused", remedy="start it"),
        ext.DiagnosedPart(name="new", outcome="odd", detail="?"),
    ]
    lines = reports.parts(parts)
    assert [line.text.split()[0] for line in lines] == ["fail", "start", "odd", "ok"]
    assert lines[0].tone is Tone.BAD


def test_an_attempt_and_a_status_are_inert() -> None:
    entry = attempt(1, who="a\x1bnn", outcome="refused", reason="no\u202e")
    text = "\n".join(line.text for line in reports.attempt(entry))
    assert "a\\x1bnn" in text
    assert "no\\u202e" in text
    status = user.GetStatusResponse(domain="example.com")
    status.user.metadata.name = "ann"
    assert "User:       ann" in [line.text for line in reports.status(status)]


class Resources:
    def __init__(self, **items: list[Any]) -> None:
        self.items = items

    def list_all(self, kind: Any, **_: Any) -> list[Any]:
        return self.items.get(kind.name, [])

    def get(self, kind: Any, name: str) -> Any:
        return next(one for one in self.items[kind.name] if one.metadata.name == name)


def test_what_uses_a_policy() -> None:
    spec = {"authorization": {"policies": ["staff"]}}
    around = Resources(Group=[item("Group", "ops", spec=spec)], Policy=[item("Policy", "staff")])
    kinds = {"Policy": item("Policy", "staff")}
    from octelium.schema.kinds import KINDS

    lines = reports.used_by(cast("Any", around), "example.com", KINDS["Policy"], "staff")
    assert "Group (1)" in [line.text for line in lines]
    assert "  ops" in [line.text for line in lines]
    none = reports.used_by(cast("Any", Resources()), "example.com", KINDS["Policy"], "staff")
    assert none[-1].text == "  Nothing that you may list."
    assert kinds


def test_a_description_has_its_sections() -> None:

    around = Resources(Group=[item("Group", "ops", spec={"authorization": {"policies": ["p"]}})])
    service = Service(ext.ListContainersResponse())
    lines = described(around, service, "Group", "ops")
    assert ("Spec:", Tone.HEADING) in lines
    assert isinstance(around.items["Group"][0], core.Group)
    assert "kind: Group" in [line.text for line in reports.yaml(around.items["Group"][0])]


def described(around: Resources, service: Service, kind: str, name: str) -> list[Line]:
    from octelium.schema.kinds import KINDS

    found = cast("Any", around), cast("Any", service)
    return reports.describe(*found, "example.com", KINDS[kind], name, 0.0)


def test_the_description_of_a_service_has_its_containers() -> None:
    upstream = {"container": {"image": "nginx", "port": 80}}
    spec = {"mode": "HTTP", "config": {"upstream": upstream}}
    around = Resources(Service=[item("Service", "wiki.default", spec=spec)])
    reply = ext.ListContainersResponse(has_controller=True)
    add = reply.items.add().containers.add
    add(ready=True, desired=1, ready_replicas=1)
    bad = add(config="second", desired=2, reason="ErrImagePull", message="no\x1b such image")
    bad.events.add(type="Warning", reason="Failed", message="m")
    add(config="third", desired=1, reason="Starting")
    lines = described(around, Service(reply), "Service", "wiki.default")
    assert ("Containers:", Tone.HEADING) in lines
    assert ("  default: ready, 1 of 1 replica", Tone.GOOD) in lines
    assert ("  second: not ready, 0 of 2 replicas", Tone.BAD) in lines
    assert ("    Reason:    no\\x1b such image", Tone.BAD) in lines
    assert ("      -  Warning  Failed  m", Tone.WARN) in lines
    assert ("  third: starting, 0 of 1 replica", Tone.WARN) in lines
    order = [line.text for line in lines]
    assert order.index("Spec:") < order.index("Containers:") < order.index("Related:")


def test_a_token_is_shown_whole() -> None:
    made = core.CredentialToken()
    made.authentication_token.authentication_token = "AQ" * 60
    assert [line.text for line in reports.token(made)][-1] == "AQ" * 60
    assert [line.text for line in reports.token(core.CredentialToken())][-1] == ""
