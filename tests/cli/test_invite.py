from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.client import admin
from octelium.client.admin import AdminError, NewInvitation
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.runner import resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import StandIn

URL = "https://lab.test/invite#TOKEN"


def prepare(cluster: StandIn, terminal: Runner, url: str = URL) -> None:
    reply = ext.InviteResponse(url=url)
    reply.expires_at.FromSeconds(int(terminal.now) + 900)
    reply.user.name = "ann"
    cluster.insight["Invite"] = reply


def test_the_link_alone_is_on_stdout(cluster: StandIn, terminal: Runner) -> None:
    prepare(cluster, terminal)
    result = terminal.ctl("invite", "ann")
    assert (result.code, result.out) == (0, f"{URL}\n")
    assert "Send it to ann, and to nobody else" in result.err
    assert "within 15 minutes" in result.err
    assert "TOKEN" not in result.err


def test_for_programs(cluster: StandIn, terminal: Runner) -> None:
    prepare(cluster, terminal)
    told = json.loads(terminal.works("invite", "ann", "-o", "json"))
    assert told["url"] == URL
    assert told["user"] == "ann"
    assert told["expiresAt"].endswith("Z")


def test_a_picture_for_telephones(cluster: StandIn, terminal: Runner) -> None:
    prepare(cluster, terminal)
    shown = terminal.ctl("invite", "ann", "--qr").out
    lines = shown.splitlines()
    assert lines[0] == URL
    assert len(lines) > 15
    assert any(character in shown for character in "▀▄█")


def test_what_a_cluster_says_moves_no_cursor(cluster: StandIn, terminal: Runner) -> None:
    prepare(cluster, terminal, "https://lab.test/\x1b[2J#T")
    assert "\x1b" not in terminal.ctl("invite", "ann").out


def test_what_the_user_has_already_stays(cluster: StandIn, terminal: Runner) -> None:
    prepare(cluster, terminal)
    key = cluster.add(resource("Authenticator", "fido-egx4vl"))
    key.status.user_ref.name = "ann"
    key.status.type = core.AuthenticatorStatusType__.FIDO
    assert "ann has" not in terminal.ctl("invite", "ann").err
    key.status.is_registered = True
    cluster.add(resource("Session", "ann-1")).status.user_ref.name = "ann"
    result = terminal.ctl("invite", "ann")
    assert (result.code, result.out) == (0, f"{URL}\n")
    assert (
        "ann has 1 passkey (fido-egx4vl) and 1 Session, which stay good; "
        "if lost: octeliumctl delete authenticator fido-egx4vl.\n"
    ) in result.err


def test_a_user_that_does_not_exist(cluster: StandIn, terminal: Runner) -> None:
    cluster.failures["Invite"] = [RefusedError("NOT_FOUND", "no User bob")]
    result = terminal.ctl("invite", "bob")
    assert result.code == 1
    assert "create it: octeliumctl create user bob" in result.err


def test_revoking(cluster: StandIn, terminal: Runner) -> None:
    for deleted, told in ((True, "is void"), (False, "has no invitation")):
        cluster.insight["DeleteInvitation"] = ext.DeleteInvitationResponse(deleted=deleted)
        result = terminal.ctl("invite", "ann", "--revoke")
        assert (result.code, result.out) == (0, "")
        assert told in result.err


@pytest.mark.parametrize(
    "words", [["--qr", "-o", "json"], ["--revoke", "--qr"], ["--revoke", "-o", "json"]]
)
def test_what_makes_no_sense(cluster: StandIn, terminal: Runner, words: list[str]) -> None:
    assert terminal.ctl("invite", "ann", *words).code == 2
    assert cluster.calls == []


def test_on_the_machine_itself(offline: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, bool]] = []

    def answer(data_dir: str, user: str, *, administrator: bool) -> NewInvitation:
        asked.append((data_dir, user, administrator))
        return NewInvitation(URL, int(offline.now) + 900, user)

    monkeypatch.setattr(admin, "new_invitation", answer)
    result = offline("octops", "invite", "ann", "--data-dir", "d")
    assert (result.code, result.out) == (0, f"{URL}\n")
    result = offline("octops", "invite", "ben", "--administrator", "--data-dir", "d", "-o", "json")
    assert json.loads(result.out)["user"] == "ben"
    assert result.err == ""
    assert asked == [("d", "ann", False), ("d", "ben", True)]


def test_refusals_are_told(
    offline: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_words: object, **_more: object) -> None:
        raise AdminError("the Cluster refused the invitation: User root is no HUMAN")

    result = offline("octops", "invite", "root", "--data-dir", str(tmp_path))
    assert result.code == 1
    assert "no Cluster runs in" in result.err
    monkeypatch.setattr(admin, "new_invitation", refuse)
    result = offline("octops", "invite", "root", "--data-dir", "d")
    assert (result.code, result.out) == (1, "")
    assert "root is no HUMAN" in result.err
