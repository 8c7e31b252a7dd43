from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.runner import Runner


@pytest.fixture
def office(real: Runner) -> Runner:
    """An API with Users and Services."""
    for name in ("ann", "bob"):
        real.works("create", "user", name)
    real.ctl("publish", "3000", "--name", "app")
    real.works("create", "service", "db", "--upstream", "tcp://127.0.0.1:5432")
    return real


def policies(terminal: Runner, service: str = "app") -> list[Any]:
    told = json.loads(terminal.works("get", "service", service, "-o", "json"))
    found: list[Any] = told["spec"].get("authorization", {}).get("inlinePolicies", [])
    return found


def matches(policy: Any) -> list[str]:
    (rule,) = policy["spec"]["rules"]
    assert rule["effect"] == "ALLOW"
    return [each["match"] for each in rule["condition"]["all"]["of"]]


def test_a_right_is_one_inline_policy(office: Runner) -> None:
    assert office.works("grant", "bob", "app") == "bob may use app\n"
    (made,) = policies(office)
    assert made["name"] == "grant-bob"
    assert matches(made) == ['ctx.user.metadata.name == "bob"']


def test_granted_again_it_is_another(office: Runner) -> None:
    office.works("grant", "ann", "app")
    office.works("grant", "bob", "app", "--path", "/albums/", "--read-only")
    ann, bob = policies(office)
    assert ann["name"] == "grant-ann"
    assert matches(bob)[1:] == [
        'ctx.request.http.path == "/albums" || ctx.request.http.path.startsWith("/albums/")',
        'ctx.request.http.method in ["GET", "HEAD"]',
    ]
    office.works("grant", "bob", "app", "--path", "/")
    assert [len(matches(each)) for each in policies(office)] == [1, 1]


def test_for_a_time(office: Runner) -> None:
    said = office.works("grant", "bob", "db", "--for", "2hours")
    (made,) = policies(office, "db")
    moment = matches(made)[1].removeprefix('now() < timestamp("').removesuffix('")')
    assert said == f"bob may use db, until {moment}\n"


def test_what_was_granted_is_taken_back(office: Runner) -> None:
    office.works("grant", "ann", "app")
    office.works("grant", "bob", "app")
    assert office.works("revoke", "bob", "app") == "the grant of bob on app is gone\n"
    assert [each["name"] for each in policies(office)] == ["grant-ann"]
    again = office.ctl("revoke", "bob", "app")
    assert (again.code, again.out) == (1, "")
    assert "bob has no grant on app" in again.err
    assert "octeliumctl policy who app" in again.err


@pytest.mark.parametrize("words", [["eve", "app"], ["bob", "wiki"]])
def test_who_and_what_must_exist(office: Runner, words: list[str]) -> None:
    result = office.ctl("grant", *words)
    assert (result.code, result.out) == (1, "")
    assert "NotFound" in result.err
    assert policies(office) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["db", "--path", "/x"], "are for HTTP; the Service is TCP"),
        (["db", "--read-only"], "are for HTTP; the Service is TCP"),
        (["app", "--path", "x"], "does not begin with /"),
        (["app", "--for", "soon"], "is not a length"),
    ],
)
def test_limits_that_mean_nothing(office: Runner, words: list[str], why: str) -> None:
    result = office.ctl("grant", "bob", *words)
    assert result.code == 2
    assert why in " ".join(result.err.split())
    assert policies(office, words[0]) == []


def test_a_path_is_a_text_of_cel(office: Runner) -> None:
    office.works("grant", "bob", "app", "--path", '/a"b\\c')
    assert '"/a\\"b\\\\c/"' in matches(policies(office)[0])[1]
