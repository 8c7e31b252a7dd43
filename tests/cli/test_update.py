from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.resources import Resources
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from tests.cli.runner import Runner, resource
from tests.client.between import between
from tests.client.standin import NOW

if TYPE_CHECKING:
    from tests.client.standin import StandIn


def test_another_value_for_a_secret_and_a_config(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Secret", "key", data={"value": "old"}))
    cluster.add(resource("Config", "app", data={"value": "old"}))
    assert terminal.works("update", "secret", "key", "--value", "new") == "secret/key updated\n"
    assert terminal.works("update", "config", "app", "-f", "-", stdin="new") == (
        "config/app updated\n"
    )
    for kind, name in cluster.objects:
        assert cluster.objects[kind, name].data.value_bytes == b"new"


@pytest.mark.parametrize("kind", ["Device", "Authenticator", "Session"])
def test_approving_and_rejecting(cluster: StandIn, terminal: Runner, kind: str) -> None:
    item = cluster.add(resource(kind, "x-1", spec={"state": "PENDING"}))
    assert terminal.works("update", kind.lower(), "x-1", "--approve").endswith(" updated\n")
    assert item.spec.state == 1
    terminal.works("update", kind.lower(), "x-1", "--reject")
    assert item.spec.state == 3
    assert terminal.ctl("update", kind.lower(), "x-1").code == 2


def test_when_a_session_ends(cluster: StandIn, terminal: Runner) -> None:
    session = cluster.add(resource("Session", "ann-1", spec={"state": "ACTIVE"}))
    terminal.works("update", "session", "ann-1", "--expire-in", "2hours")
    assert session.spec.expires_at.seconds == int(NOW) + 7200
    assert session.spec.state == core.SessionSpecState__.ACTIVE


@pytest.mark.parametrize("kind", ["User", "Service", "Credential", "Policy", "IdentityProvider"])
def test_switching_off_and_on(cluster: StandIn, terminal: Runner, kind: str) -> None:
    item = cluster.add(resource(kind, "x1"))
    terminal.works("update", kind.lower(), "x1", "--disable")
    assert item.spec.is_disabled
    terminal.works("update", kind.lower(), "x1", "--enable")
    assert not item.spec.is_disabled


def test_sessions_of_a_credential_that_is_switched_off_go_on(
    cluster: StandIn, terminal: Runner
) -> None:
    credential = cluster.add(resource("Credential", "c-1", spec={"user": "ann"}))
    session = cluster.add(resource("Session", "ann-1", spec={"state": "ACTIVE"}))
    session.status.user_ref.name = "ann"
    session.status.credential_ref.uid = credential.metadata.uid
    result = terminal.ctl("update", "credential", "c-1", "--disable")
    assert (result.code, result.out) == (0, "credential/c-1 updated\n")
    assert result.err == "1 Session made from it goes on: octeliumctl delete session ann-1\n"
    assert terminal.works("update", "credential", "c-1", "--enable")


def test_without_a_flag_both_are_named(terminal: Runner) -> None:
    assert "Give --enable or --disable." in terminal.ctl("update", "service", "x").err
    assert "Give --approve or --reject." in terminal.ctl("update", "device", "x").err


def test_what_files_declare(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("User", "ann"))
    cluster.add(resource("Session", "ann-1"))
    text = (
        "kind: User\nmetadata: {name: ann}\nspec: {email: x@lab.test}\n---\n"
        "kind: Session\nmetadata: {name: ann-1}\nspec: {state: REJECTED}\n"
    )
    assert terminal.works("update", "-f", "-", stdin=text) == (
        "user/ann updated\nsession/ann-1 updated\n"
    )
    result = terminal.ctl("update", "-f", "-", stdin=text.replace("name: ann}", "name: bob}"))
    assert (result.code, result.out) == (1, "session/ann-1 updated\n")
    assert "stdin:1: user/bob: NotFound" in result.err


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["-f", "x", "user", "y"], ["secret"]])
def test_what_to_update_must_be_clear(terminal: Runner, arguments: list[str]) -> None:
    assert terminal.ctl("update", *arguments).code == 2


def test_a_resource_that_does_not_exist(terminal: Runner) -> None:
    result = terminal.ctl("update", "user", "none", "--disable")
    assert (result.code, result.out) == (1, "")


def test_help_says_what_it_does(offline: Runner) -> None:
    assert "Approve or reject an Authenticator." in offline.ctl("update", "--help").out
    assert "Switch a Service on or off." in offline.ctl("update", "service", "--help").out


def test_the_projects_own_api_takes_what_it_gave(real: Runner) -> None:
    real.works("create", "user", "ann", "--email", "ann@lab.test")
    real.works("create", "secret", "key", "--value", "old")
    assert real.works("update", "user", "ann", "--disable") == "user/ann updated\n"
    assert "isDisabled: true" in real.works("get", "user", "ann")
    assert real.works("update", "secret", "key", "--value", "new") == "secret/key updated\n"
    real.works("update", "session", "root-abc123", "--expire-in", "2hours")
    assert "120m" in real.works("get", "sess")
    refused = real.ctl("update", "session", "root-abc123", "--reject")
    assert (refused.code, refused.out) == (1, "")
    assert "PermissionDenied" in refused.err


def test_the_email_of_a_user(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("User", "mail"))
    assert terminal.works("update", "user", "mail", "--email", "m@x.test") == "user/mail updated\n"
    stored = cluster.objects["User", "mail"]
    assert (stored.spec.email, stored.spec.is_disabled) == ("m@x.test", False)
    terminal.works("update", "user", "mail", "--email", "", "--disable")
    stored = cluster.objects["User", "mail"]
    assert (stored.spec.email, stored.spec.is_disabled) == ("", True)
    assert terminal.ctl("update", "user", "mail").code == 2


def test_who_is_switched_off_meanwhile_stays_off(
    real: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.works("create", "user", "bob")

    def switch_off(resources: Resources) -> None:
        user = resources.get(KINDS["User"], "bob")
        user.spec.is_disabled = True
        resources.update(KINDS["User"], user)

    between(monkeypatch, switch_off)
    real.works("update", "user", "bob", "--email", "bob@lab.test")
    shown = real.works("get", "user", "bob", "-o", "yaml")
    assert "isDisabled: true" in shown
    assert "email: bob@lab.test" in shown


@pytest.mark.parametrize("word", ["secret", "config"])
def test_a_value_from_stdin_is_read_once(
    real: Runner, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    kind = KINDS[word.capitalize()]
    real.works("create", word, "app", "--value", "first")
    sent: list[bytes] = []

    def change(resources: Resources) -> None:
        item = resources.get(kind, "app")
        item.data.value_bytes = b"between"
        resources.update(kind, item)

    between(monkeypatch, change)
    update = Resources.update

    def seen(self: Resources, kind: object, message: object, **options: object) -> object:
        stored = update(self, kind, message, **options)  # type: ignore[arg-type]  # as they come
        sent.append(message.data.value_bytes)  # type: ignore[attr-defined]  # of a Secret, Config
        return stored

    monkeypatch.setattr(Resources, "update", seen)
    real.works("update", word, "app", "-f", "-", stdin="next")
    assert sent == [b"between", b"next"]
