from __future__ import annotations

from typing import Any

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.validation import attributes
from tests.schema.validation.world import World, service


def group(attrs: str) -> str:
    return f"kind: Group\nmetadata: {{name: gg}}\nspec: {{attrs: {attrs}}}\n"


def test_attributes_are_free(world: World) -> None:
    world.apply(group("{a: 1, aB2: {cD: [{Not-Checked: 1}]}, été: x}"))


@pytest.mark.parametrize(
    ("attrs", "path"),
    [
        ("{Foo: 1}", "spec.attrs.Foo"),
        ("{foo-bar: 1}", "spec.attrs.foo-bar"),
        ("{foo_bar: 1}", "spec.attrs.foo_bar"),
        ("{'': 1}", 'spec.attrs[""]'),
        ("{1a: 1}", 'spec.attrs["1a"]'),
        ("{a: {b: {C: 1}}}", "spec.attrs.a.b.C"),
        (f"{{{'a' * 101}: 1}}", f"spec.attrs.{'a' * 101}"),
        (f"{{a: {'x' * 20_001}}}", "spec.attrs"),
    ],
)
def test_bad_attributes(world: World, attrs: str, path: str) -> None:
    assert world.refusal(group(attrs)).path == path


def with_settings(settings: str) -> str:
    return service(
        f"{{mode: WEB, config: {{upstream: {{url: 'http://h'}}}}, attrs: {{octelium: {settings}}}}}"
    )


def test_unknown_settings_of_a_service_are_refused(world: World) -> None:
    refused = world.refusal(with_settings("{timeout: 5}"))
    assert refused.path == "spec.attrs.octelium.timeout"
    assert refused.problem == "unknown setting"
    assert refused.remedy == "settings: crossOrigin"
    assert world.refusal(with_settings("5")).path == "spec.attrs.octelium"
    world.apply(with_settings("{}"))


def test_known_settings_are_checked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_timeout(value: Any, path: str) -> None:
        if not isinstance(value, int):
            raise Invalid(path, "is not a number")

    monkeypatch.setitem(attributes.SERVICE_SETTINGS, "timeout", check_timeout)
    world.apply(with_settings("{timeout: 5}"))
    assert world.refusal(with_settings("{timeout: x}")).problem == "is not a number"
    assert world.refusal(with_settings("{timeuot: 5}")).remedy == "did you mean timeout?"


def test_pages_of_other_origins(world: World) -> None:
    world.apply(with_settings("{crossOrigin: allow}"))
    world.apply(with_settings("{crossOrigin: refuse}"))
    for value in ("ALLOW", "''", "true", "[]", "{}", "null", "1", "[allow]"):
        refused = world.refusal(with_settings(f"{{crossOrigin: {value}}}"))
        assert refused.path == "spec.attrs.octelium.crossOrigin"
        assert refused.remedy == "allow or refuse"


def test_other_kinds_may_use_the_key_as_they_like(world: World) -> None:
    world.apply(group("{octelium: {anything: 1}}"))
