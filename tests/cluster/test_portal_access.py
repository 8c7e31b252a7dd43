from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.authserver.openable import Openness
from octelium.cluster import portal_access
from octelium.cluster.insight import Insight
from octelium.cluster.portal_access import PortalAccess
from octelium.octovigil.access.listing import list_for_session
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import Unavailable
from tests.identity.cluster import Clock
from tests.octovigil.world import World, allow, deny, uid_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Scene:
    def __init__(self, tmp_path: Path) -> None:
        self.world = World()
        self.insight = Insight(self.world.replica, tmp_path / "logs.db")
        self.revision = 1
        self.clock = Clock(0)
        self.access = PortalAccess(
            lambda: self.revision, self.world.replica, self.insight, clock=self.clock
        )
        self.access._lane._seconds = 60.0

    async def services(self, name: str = "ann", session: str = "ann-1") -> Any:
        user, one = core.User(), core.Session()
        user.metadata.name = name
        one.metadata.name, one.metadata.uid = session, uid_of("Session", session)
        return await self.access.services(user, one)


@pytest.fixture(name="scene")
def scene_fixture(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.access.close()
    scene.insight.close()


async def test_what_is_open(scene: Scene) -> None:
    path = 'ctx.request.http.path.startsWith("/docs")'
    with scene.world.together():
        scene.world.service("docs.default", authorization=_inline(allow(path)))
        scene.world.service("vault.default", authorization=_inline(deny()))
        scene.world.service("wiki.default", authorization=_inline(allow()))
    assert await scene.services() == {
        "docs.default": Openness.DEPENDS,
        "wiki.default": Openness.OPEN,
    }


async def test_where_one_may_begin(scene: Scene) -> None:
    session = core.Session()
    session.metadata.uid = uid_of("Session", "ann-1")
    path = 'ctx.request.http.path.startsWith("/docs")'
    scene.world.service("docs.default", authorization=_inline(allow(path)))
    assert scene.access.entrances(session) == {}
    await scene.services()
    assert scene.access.entrances(session) == {"docs.default": "/docs"}


async def test_what_the_session_itself_is_known_to_be_counts(scene: Scene) -> None:
    level = 'ctx.session.status.authentication.info.aal == "AAL2"'
    with scene.world.together():
        scene.world.service("vault.default", authorization=_inline(allow(level)))
        for name, aal in (("ann-1", "AAL1"), ("ann-2", "AAL2")):
            info = {"authentication": {"info": {"aal": aal}}}
            scene.world.session(name, "ann", status=info)
    assert await scene.services() == {}
    assert await scene.services(session="ann-2") == {"vault.default": Openness.OPEN}


def _inline(*rules: Any) -> dict[str, Any]:
    return {"inlinePolicies": [{"spec": {"rules": list(rules)}}]}


async def test_an_answer_is_used_until_something_changes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(*args: Any, **more: Any) -> Any:
        asked.append(args)
        return list_for_session(*args, **more)

    monkeypatch.setattr(portal_access, "list_for_session", counted)
    for _ in range(3):
        assert await scene.services() == {}
    assert len(asked) == 1
    scene.clock.now = 30
    await scene.services()
    assert len(asked) == 2
    scene.world.service("wiki.default", authorization=_inline(allow()))
    scene.revision += 1
    assert await scene.services() == {"wiki.default": Openness.OPEN}
    assert len(asked) == 3


async def test_what_fails_is_logged_and_tells_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await scene.services("nobody", "none-1") is None
    assert "nobody" in caplog.text
    for error in (Unavailable("too many"), RuntimeError("sesame")):

        def fail(*_args: Any, failure: Exception = error, **_more: Any) -> Any:
            raise failure

        monkeypatch.setattr(portal_access, "list_for_session", fail)
        assert await scene.services() is None
    assert "sesame" in caplog.text
    monkeypatch.undo()
    assert await scene.services() == {}


async def test_many_services_are_an_errand(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_access, "_MANY", 0)
    asked = []

    async def errand(user: str, service: str, *, asker: str) -> ext.ListAccessResponse:
        asked.append((user, service, asker))
        verdicts = ext.AccessVerdict__
        return ext.ListAccessResponse(
            items=[
                ext.Access(service="a", verdict=verdicts.ALLOWED),
                ext.Access(service="b", verdict=verdicts.ALLOWED),
                ext.Access(service="b", verdict=verdicts.REFUSED, session="ann-1"),
                ext.Access(service="c", verdict=verdicts.REFUSED),
                ext.Access(service="c", verdict=verdicts.ALLOWED, session="ann-2"),
            ]
        )

    monkeypatch.setattr(scene.insight, "list_access", errand)
    assert await scene.services() == {"a": Openness.OPEN}
    assert asked == [("ann", "", f"portal:{uid_of('Session', 'ann-1')}")]


async def test_little_is_remembered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_access, "_REMEMBERED", 2)
    for number in range(5):
        scene.world.session(f"ann-{number}", "ann")
        await scene.services(session=f"ann-{number}")
    assert list(scene.access._answers) == [uid_of("Session", f"ann-{at}") for at in (3, 4)]
