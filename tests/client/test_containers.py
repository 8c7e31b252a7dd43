from __future__ import annotations

from typing import Any, cast

import pytest

from octelium.client.containers import has_container, states_among, states_of
from octelium.client.errors import ApiError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext


class Api:
    def __init__(self, answer: ext.ListContainersResponse | ApiError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def call(self, method: str, request: ext.ListContainersRequest) -> Any:
        assert method == "ListContainers"
        self.asked.append(request.service)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


def contained() -> core.Service:
    made = core.Service()
    made.metadata.name = "wiki.default"
    made.spec.config.upstream.container.image = "nginx"
    return made


def test_who_has_a_container() -> None:
    assert has_container(contained())
    made = core.Service()
    assert not has_container(made)
    made.spec.dynamic_config.configs.add().upstream.url = "http://a"
    assert not has_container(made)
    made.spec.dynamic_config.configs.add().upstream.container.image = "nginx"
    assert has_container(made)


def test_only_those_who_have_one_are_asked_for() -> None:
    api, hidden = Api(ext.ListContainersResponse(has_controller=True)), list[str]()
    assert states_of(cast("Any", api), core.Service(), hidden) is None
    assert states_of(cast("Any", api), contained(), hidden) == api.answer
    assert (api.asked, hidden) == (["wiki.default"], [])


@pytest.mark.parametrize(
    ("code", "left_out"), [("UNIMPLEMENTED", []), ("PERMISSION_DENIED", ["containers"])]
)
def test_clusters_that_do_not_tell(code: str, left_out: list[str]) -> None:
    hidden: list[str] = []
    api = Api(ApiError(code, "no", "ListContainers"))
    assert states_of(cast("Any", api), contained(), hidden) is None
    assert hidden == left_out


def test_other_errors_are_errors() -> None:
    api = Api(ApiError("UNAVAILABLE", "gone", "ListContainers"))
    with pytest.raises(ApiError):
        states_of(cast("Any", api), contained(), [])


def test_those_of_several_services_are_one_call() -> None:
    api, other = Api(ext.ListContainersResponse(has_controller=True)), contained()
    other.metadata.name = "blog.default"
    plain = core.Service()
    assert states_among(cast("Any", api), [plain], []) is None
    assert states_among(cast("Any", api), [contained(), plain, other], []) == api.answer
    assert states_among(cast("Any", api), [contained(), plain], []) == api.answer
    assert api.asked == ["", "wiki.default"]
