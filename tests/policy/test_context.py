from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.context import Context, JsonForms


class Entry:
    """An entry that counts how often its JSON form is asked for."""

    versions = 0

    def __init__(self, form: dict[str, Any]) -> None:
        Entry.versions += 1
        self.version = Entry.versions
        self.form = form
        self.asked = 0

    @property
    def json(self) -> dict[str, Any]:
        self.asked += 1
        return self.form


def test_nothing_is_built_before_it_is_looked_at() -> None:
    user, device = Entry({"a": 1}), Entry({"b": 2})
    context = Context(JsonForms(), {"user": user, "device": device, "session": None})
    assert context["user"] == {"a": 1.0}
    assert type(context["user"]["a"]) is float
    assert (user.asked, device.asked) == (1, 0)
    assert "device" in context
    assert device.asked == 0
    assert "session" not in context
    with pytest.raises(KeyError):
        context["session"]


def test_forms_are_kept_as_long_as_the_version() -> None:
    forms = JsonForms()
    entry = Entry({"a": 1})
    assert forms.of(entry) is forms.of(entry)
    assert entry.asked == 1
    for _ in range(5000):
        forms.of(Entry({}))
    assert forms.of(entry) == {"a": 1.0}


def test_groups() -> None:
    groups = [Entry({"n": 1}), Entry({"n": 2})]
    assert Context(JsonForms(), {}, groups)["groups"] == [{"n": 1.0}, {"n": 2.0}]
    assert "groups" not in Context(JsonForms(), {})


def test_the_request_is_unknown_known_or_absent() -> None:
    context = Context(JsonForms(), {"user": Entry({})})
    for look in (lambda: context["request"], lambda: "request" in context, context.full):
        with pytest.raises(UnknownDataError):
            look()
    context.set_request({"ip": "a"})
    assert context["request"] == {"ip": "a"}
    assert context.full() == {"user": {}, "request": {"ip": "a"}}
    context.set_request(None)
    assert "request" not in context
    assert context.full() == {"user": {}}
    with pytest.raises(KeyError):
        context["request"]
    context.set_request({})
    context.forget_request()
    with pytest.raises(UnknownDataError):
        context["request"]
