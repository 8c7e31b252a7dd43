"""Worlds in which requests are only thought of."""

from __future__ import annotations

from octelium.policy.decision import Outcome
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.explain.asking import http, supposed
from tests.octovigil.world import START, World, allow, inline, uid_of


def open_world() -> World:
    world = World()
    world.user("ann", authorization=inline(allow("ctx.request.http.method == 'GET'")))
    return world


def test_it_decides_as_the_decision_point_does() -> None:
    world = open_world()
    assert supposed(world).decide().allowed
    assert supposed(world, http(method="PUT")).decide().outcome is Outcome.DENIED
    assert supposed(world, session="").decide().outcome is Outcome.UNAUTHENTICATED
    assert supposed(world, at=START + 4000).decide().outcome is Outcome.DENIED


def test_a_stream_without_a_request() -> None:
    world = open_world()
    supposition = supposed(world)
    supposition.request = None
    assert not supposition.decide().allowed


def test_a_fork_goes_its_own_way() -> None:
    supposition = supposed(open_world())
    other = supposition.fork()
    user = core.User()
    assert other.user is not None
    user.CopyFrom(other.user.message)
    user.spec.is_disabled = True
    other.put([user])
    assert not other.decide().allowed
    assert supposition.decide().allowed
    assert other.client_address == supposition.client_address
    assert other.session is supposition.session


def test_changes_take_effect_at_once() -> None:
    supposition = supposed(open_world())
    assert supposition.decide().allowed
    service = core.Service()
    service.CopyFrom(supposition.service.message)
    service.spec.is_disabled = True
    supposition.put([service])
    assert supposition.service.is_disabled
    assert supposition.decide().outcome is Outcome.ERROR
    assert supposition.service_uid == uid_of("Service", "wiki.default")


def test_nobody_has_nothing() -> None:
    supposition = supposed(open_world(), session="")
    assert supposition.session is None
    assert supposition.user is None
    assert supposition.device is None
