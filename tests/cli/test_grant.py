from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.kinds import KINDS
from tests.client.between import between

if TYPE_CHECKING:
    from octelium.client.resources import Resources
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
    uid = json.loads(office.works("get", "user", "bob", "-o", "json"))["metadata"]["uid"]
    assert matches(made) == [
        'ctx.user.metadata.name == "bob"',
        f'ctx.user.metadata.uid == "{uid}"',
    ]


def test_granted_again_it_is_another(office: Runner) -> None:
    office.works("grant", "ann", "app")
    office.works("grant", "bob", "app", "--path", "/albums/", "--read-only")
    ann, bob = policies(office)
    assert ann["name"] == "grant-ann"
    assert matches(bob)[2:] == [
        'ctx.request.http.path == "/albums" || ctx.request.http.path.startsWith("/albums/")',
        'ctx.request.http.method in ["GET", "HEAD"]',
    ]
    office.works("grant", "bob", "app", "--path", "/")
    assert [len(matches(each)) for each in policies(office)] == [2, 2]


def test_for_a_time(office: Runner) -> None:
    said = office.works("grant", "bob", "db", "--for", "2hours")
    (made,) = policies(office, "db")
    moment = matches(made)[2].removeprefix('now() < timestamp("').removesuffix('")')
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
    assert '"/a\\"b\\\\c/"' in matches(policies(office)[0])[2]
    assert office.works("revoke", "bob", "app")


def without_grants(resources: Resources) -> None:
    """What `revoke` does, as somebody else."""

    def adjust(message: Any) -> None:
        del message.spec.authorization.inline_policies[:]

    resources.change(KINDS["Service"], "app", adjust)


def test_a_revocation_by_somebody_else_stands(
    office: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.works("grant", "bob", "app")
    between(monkeypatch, without_grants)
    office.works("grant", "ann", "app")
    assert [each["name"] for each in policies(office)] == ["grant-ann"]


def test_a_right_that_is_gone_when_it_is_taken_back(
    office: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.works("grant", "bob", "app")
    between(monkeypatch, without_grants)
    assert "bob has no grant on app" in office.ctl("revoke", "bob", "app").err


def test_others_who_always_come_first(office: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end, and what they wrote stands."""
    written: list[Any] = []

    def describe(resources: Resources) -> None:
        service = resources.get(KINDS["Service"], "app")
        service.metadata.description = f"version {len(written)}"
        written.append(resources.update(KINDS["Service"], service))

    between(monkeypatch, *[describe] * 10)
    result = office.ctl("grant", "bob", "app")
    assert (result.code, result.out, len(written)) == (1, "", 10)
    assert "is being changed by others all the time" in result.err
    assert "nothing was changed; try again" in result.err
    assert policies(office) == []
    office.works("grant", "bob", "app")


def rule(**more: Any) -> Any:
    """The rule of a grant, as in a file."""
    parts = [{"match": 'ctx.user.metadata.name == "bob"'}]
    return {"name": "granted", "effect": "ALLOW", "condition": {"all": {"of": parts}}, **more}


def matching(*texts: str) -> Any:
    name = 'ctx.user.metadata.name == "bob"'
    return {"all": {"of": [{"match": text} for text in (name, *texts)]}}


def declare(office: Runner, policy: Any) -> None:
    service = json.loads(office.works("get", "service", "app", "-o", "json"))
    spec = {**service["spec"], "authorization": {"inlinePolicies": [policy]}}
    declared = {"kind": "Service", "metadata": {"name": "app"}, "spec": spec}
    assert office.ctl("apply", "--yes", "-", stdin=json.dumps(declared)).code == 0


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": [rule(effect="DENY")]},
        {"rules": [rule(priority=-1)]},
        {"rules": [rule(name="mine")]},
        {"rules": [rule(), rule()]},
        {"rules": [rule()], "isDisabled": True},
        {"rules": [rule()], "enforcementRules": [{"effect": "IGNORE", "condition": matching()}]},
        {"rules": [rule(condition={"match": 'ctx.user.metadata.name == "bob"'})]},
        {"rules": [rule(condition={"matchAny": True})]},
        {"rules": [rule(condition=matching("ctx.session.status.type == 'CLIENT'"))]},
        {"rules": [rule(condition=matching('ctx.request.http.method in ["GET", "HEAD"]', "true"))]},
        {
            "rules": [
                rule(
                    condition=matching(
                        'ctx.request.http.path == "/a" || ctx.request.http.path.startsWith("/b/")'
                    )
                )
            ]
        },
    ],
)
@pytest.mark.parametrize("word", ["grant", "revoke"])
def test_what_somebody_wrote_by_hand_stays(office: Runner, spec: Any, word: str) -> None:
    declare(office, {"name": "grant-bob", "spec": spec})
    before = policies(office)
    result = office.ctl(word, "bob", "app")
    assert (result.code, result.out) == (1, "")
    assert "somebody wrote the inline Policy grant-bob of app.default by hand" in result.err
    assert "octeliumctl edit service app.default" in result.err
    assert policies(office) == before


@pytest.mark.parametrize(
    "options",
    [(), ("--path", "/a"), ("--read-only",), ("--for", "1hour"),
     ("--path", '/"x"', "--read-only", "--for", "1hour")],
)  # fmt: skip
def test_every_grant_is_known_again(office: Runner, options: tuple[str, ...]) -> None:
    office.works("grant", "bob", "app", *options)
    office.works("grant", "bob", "app", *options)
    assert len(policies(office)) == 1
    office.works("revoke", "bob", "app")
    assert policies(office) == []


def test_a_grant_in_a_file_may_do_without_the_uid(office: Runner) -> None:
    declare(office, {"name": "grant-bob", "spec": {"rules": [rule()]}})
    office.works("revoke", "bob", "app")
    assert policies(office) == []


def test_the_next_user_of_that_name_has_no_grant(office: Runner) -> None:
    office.works("grant", "bob", "app")
    (old,) = policies(office)
    office.works("delete", "user", "bob")
    office.works("create", "user", "bob")
    office.works("grant", "bob", "app")
    (new,) = policies(office)
    assert matches(old)[0] == matches(new)[0]
    assert matches(old)[1] != matches(new)[1]


def test_names_that_are_taken_for_each_other(office: Runner) -> None:
    result = office.ctl("grant", "app", "bob")
    assert (result.code, result.out) == (1, "")
    told = " ".join(result.err.split())
    assert "app is a Service, and bob a User" in told
    assert "the User comes first: octeliumctl grant bob app" in told
    assert policies(office) == []
    for names in (("app", "nobody"), ("nobody", "bob"), ("nobody", "app")):
        result = office.ctl("grant", *names)
        assert result.code == 1
        assert f"User {names[0]} does not exist" in result.err
        assert "the User comes first" not in result.err
