from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.bootstrap import (
    BootstrapError,
    add_administrator,
    awaits_first_token,
    bootstrap,
    first_token,
    save_first_token,
)
from octelium.cluster.builtin import FIRST_CREDENTIAL
from octelium.identity.authentication import Authentication
from octelium.identity.keys import Keyring
from octelium.identity.tokens import TokenType
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import StoreError
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DOMAIN = "octelium.example"


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    store = await SqliteStore.open(tmp_path)
    made = Resources(store, Vault([os.urandom(32)]))
    await made.load()
    yield made
    await made.close()


async def test_the_first_start_makes_everything_in_one_revision(
    resources: Resources, tmp_path: Path
) -> None:
    assert await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    assert resources.revision == 1
    service = resources.get(core.Service, name="default.octelium-api")
    assert service.status.namespace_ref.name == "octelium-api"
    assert service.status.primary_hostname == "octelium-api"
    assert resources.get(core.Service, name="demo-nginx.default").status.port == 80
    assert (tmp_path / "ca.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert not await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    assert resources.revision == 1


async def test_a_new_service_of_the_system_appears_in_a_cluster_that_was_there(
    resources: Resources, tmp_path: Path
) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    async with resources.transaction() as tx:
        for name in ("dns.octelium", "demo-nginx.default"):
            tx.delete(core.Service, tx.get(core.Service, name=name).metadata.uid)
    assert not await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    made = resources.get(core.Service, name="dns.octelium")
    assert made.metadata.is_system
    assert made.spec.mode == core.ServiceSpecMode__.DNS
    assert made.status.port == 53
    assert made.status.namespace_ref.name == "octelium"
    # Who deleted an ordinary one is right.
    assert resources.peek(core.Service, name="demo-nginx.default") is None
    revision = resources.revision
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    assert resources.revision == revision


async def test_a_service_that_has_the_name_of_a_new_one_stays(
    resources: Resources, tmp_path: Path
) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    async with resources.transaction() as tx:
        old = tx.get(core.Service, name="dns.octelium")
        tx.delete(core.Service, old.metadata.uid)
        mine = core.Service()
        mine.metadata.name = "dns.octelium"
        mine.spec.mode = core.ServiceSpecMode__.TCP
        tx.create(mine)
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    kept = resources.get(core.Service, name="dns.octelium")
    assert kept.spec.mode == core.ServiceSpecMode__.TCP


async def test_the_right_to_administer_stands_on_the_first_credential_alone(
    resources: Resources, tmp_path: Path
) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    credential = resources.get(core.Credential, name=FIRST_CREDENTIAL)
    (inline,) = credential.spec.authorization.inline_policies
    assert inline.name == "first-session-allow-all"
    assert credential.spec.session_type == core.SessionStatusType__.CLIENT
    assert credential.status.user_ref.name == "root"
    assert not resources.get(core.User, name="root").spec.HasField("authorization")


async def test_another_domain_is_refused(resources: Resources, tmp_path: Path) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    with pytest.raises(BootstrapError, match=r"belongs to octelium\.example"):
        await bootstrap(resources, "other.example", tmp_path / "ca.pem")


async def test_the_first_token_verifies(resources: Resources, tmp_path: Path) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    keyring = Keyring()
    keyring.follow(resources)
    assert awaits_first_token(resources)
    token = await first_token(resources, Authentication(resources, keyring))
    assert not awaits_first_token(resources)
    claims = keyring.verifier.verify(token, TokenType.CREDENTIAL)
    assert claims is not None


async def test_the_first_token_is_saved_in_a_new_file_alone(
    resources: Resources, tmp_path: Path
) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    keyring = Keyring()
    keyring.follow(resources)
    authentication = Authentication(resources, keyring)
    saved = tmp_path / "token"
    saved.touch(mode=0o666)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "fifo")
    for path in (saved, tmp_path / "link", tmp_path / "fifo"):
        with pytest.raises(BootstrapError, match=r"TOKEN_SAVE_PATH: .* exists already: .* away"):
            await save_first_token(resources, authentication, path)
        assert awaits_first_token(resources)
    assert saved.read_bytes() == b""
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(BootstrapError, match="No such file"):
        await save_first_token(resources, authentication, tmp_path / "none" / "token")
    assert awaits_first_token(resources)
    saved.unlink()
    token = await save_first_token(resources, authentication, saved)
    assert saved.read_text() == token + "\n"
    assert saved.stat().st_mode & 0o777 == 0o600
    assert not awaits_first_token(resources)


async def test_a_token_that_cannot_be_made_leaves_no_file(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")

    async def fails(*_: object) -> str:
        raise StoreError("the disk is full")

    monkeypatch.setattr("octelium.cluster.bootstrap.first_token", fails)
    with pytest.raises(StoreError):
        await save_first_token(resources, Authentication(resources, Keyring()), tmp_path / "token")
    assert not (tmp_path / "token").exists()


async def test_a_lost_way_in_is_made_anew(resources: Resources, tmp_path: Path) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    keyring = Keyring()
    keyring.follow(resources)
    authentication = Authentication(resources, keyring)
    before = await first_token(resources, authentication)
    async with resources.transaction() as tx:
        tx.delete(core.Credential, tx.get(core.Credential, name=FIRST_CREDENTIAL).metadata.uid)
        tx.delete(core.User, tx.get(core.User, name="root").metadata.uid)
    token = await first_token(resources, authentication)
    assert token != before
    assert keyring.verifier.verify(token, TokenType.CREDENTIAL) is not None
    assert resources.get(core.User, name="root").spec.type == core.UserSpecType__.WORKLOAD


async def test_an_administrator_is_a_person_with_an_explicit_policy(
    resources: Resources, tmp_path: Path
) -> None:
    await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
    async with resources.transaction() as tx:
        made = add_administrator(tx, "ann")
    assert made.spec.type == core.UserSpecType__.HUMAN
    assert list(made.spec.authorization.policies) == ["allow-all"]
    assert resources.get(core.User, name="ann") == made
    async with resources.transaction() as tx:
        assert add_administrator(tx, "ann").metadata.uid == made.metadata.uid
    for name, problem in [
        ("root", "root is there already, without the Policy allow-all: leave out --administrator"),
        ("Ann", "not a valid name"),
        ("", "name is missing"),
    ]:
        with pytest.raises((Invalid, StoreError), match=problem):
            async with resources.transaction() as tx:
                add_administrator(tx, name)
    async with resources.transaction() as tx:
        tx.delete(core.Policy, resources.get(core.Policy, name="allow-all").metadata.uid)
    with pytest.raises(StoreError, match="allow-all"):
        async with resources.transaction() as tx:
            add_administrator(tx, "ben")
    assert resources.find(core.User, name="ben") is None
