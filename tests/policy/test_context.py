from __future__ import annotations

import zlib
from typing import Any

import pytest

from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.context import Context
from octelium.replica.replica import GroupEntry, SessionEntry, UserEntry
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def user(**spec: Any) -> UserEntry:
    message = from_json(core.User, {"metadata": {"name": "ann"}, "spec": spec})
    return UserEntry("u", "ann", message.SerializeToString())


def group(name: str) -> GroupEntry:
    message = from_json(core.Group, {"metadata": {"name": name}, "spec": {"attrs": {"n": 1}}})
    return GroupEntry(name, name, message.SerializeToString())


def session() -> SessionEntry:
    message = from_json(core.Session, {"spec": {"state": "ACTIVE"}, "status": {"type": "CLIENT"}})
    past = from_json(core.SessionStatus, {"lastAuthentications": [{"tokenID": "old"}]})
    packed = zlib.compress(past.SerializeToString())
    return SessionEntry("s", "ann-1", message.SerializeToString(), packed)


def test_resources_in_json_with_doubles_for_numbers() -> None:
    context = Context({"user": user(attrs={"level": 3}), "device": None})
    assert context["user"] == {"metadata": {"name": "ann"}, "spec": {"attrs": {"level": 3.0}}}
    assert type(context["user"]["spec"]["attrs"]["level"]) is float
    assert context["user"] is context["user"]
    assert "user" in context
    assert "device" not in context
    with pytest.raises(KeyError):
        context["device"]


def test_no_more_than_what_is_read() -> None:
    reads = frozenset({("user", "spec", "type"), ("request", "ip")})
    context = Context({"user": user(type="HUMAN", email="a@b.c")}, reads=reads)
    assert context["user"] == {"spec": {"type": "HUMAN"}}
    context.narrow(frozenset({("user", "spec", "email")}))
    assert context["user"] == {"spec": {"email": "a@b.c"}}
    context.narrow(frozenset())
    assert "user" in context


def test_groups() -> None:
    groups = [group("a"), group("b")]
    made = Context({}, groups)["groups"]
    assert [each["metadata"]["name"] for each in made] == ["a", "b"]
    assert type(made[0]["spec"]["attrs"]["n"]) is float
    assert "groups" not in Context({})


@pytest.mark.parametrize(
    ("path", "there"),
    [
        (("session",), True),
        (("session", "status"), True),
        (("session", "status", "lastAuthentications"), True),
        (("session", "status", "type"), False),
        (("session", "spec"), False),
    ],
)
def test_the_history_of_a_session_is_opened_for_who_reads_it(
    path: tuple[str, ...], there: bool
) -> None:
    entry = session()
    form = Context({"session": entry}, reads=frozenset({path}))["session"]
    assert ("lastAuthentications" in form.get("status", {})) is there


def test_the_request_is_unknown_known_or_absent() -> None:
    context = Context({"user": user()})
    for look in (lambda: context["request"], lambda: "request" in context, context.full):
        with pytest.raises(UnknownDataError):
            look()
    context.set_request({"ip": "a"})
    assert context["request"] == {"ip": "a"}
    assert context.full() == {"user": context["user"], "request": {"ip": "a"}}
    context.set_request(None)
    assert "request" not in context
    assert context.full() == {"user": context["user"]}
    with pytest.raises(KeyError):
        context["request"]
    context.set_request({})
    context.forget_request()
    with pytest.raises(UnknownDataError):
        context["request"]


@pytest.mark.parametrize(
    ("paths", "counts"),
    [
        ((), False),
        (("user.spec.email",), False),
        (("session.spec.state",), False),
        (("session.status.type",), False),
        (("session",), True),
        (("session.status",), True),
        (("session.status.lastAuthentications",), True),
        (("",), True),
    ],
)
def test_only_whole_sessions_are_a_context_s_own(paths: tuple[str, ...], *, counts: bool) -> None:
    message = from_json(core.Session, {"spec": {"state": "ACTIVE"}})
    entry = SessionEntry("u", "s", message.SerializeToString(), b"x" * 100)
    reads = frozenset(tuple(path.split(".")) if path else () for path in paths)
    context = Context({"session": entry, "user": user()}, reads=reads)
    assert (context.own_bytes > 1000) is counts
    assert Context({"user": user()}, reads=reads).own_bytes == 0


def test_what_is_projected_is_shared() -> None:
    entry = user(email="a@b.c", type="HUMAN")
    reads = frozenset({("user", "spec", "email")})
    first, second = (Context({"user": entry}, reads=reads) for _ in range(2))
    assert first["user"] is second["user"]
    assert first["user"] == {"spec": {"email": "a@b.c"}}
    changed = Context({"user": user(email="d@e.f")}, reads=reads)
    assert changed["user"] == {"spec": {"email": "d@e.f"}}
    other = Context({"user": entry}, reads=frozenset({("user", "spec", "type")}))
    assert other["user"] == {"spec": {"type": "HUMAN"}}
