"""The emulated API server answers as the real one, to the same requests.

This needs binaries that are not in Debian: KUBE_APISERVER names a kube-apiserver 1.34, ETCD an
etcd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.kubernetes import KubernetesApi
from tests.peers.kubernetes.conversation import hold
from tests.peers.kubernetes.real import TOKENS, binaries, real_api
from tests.peers.kubernetes.script import STEPS

if TYPE_CHECKING:
    from pathlib import Path


def test_both_answer_alike(tmp_path: Path) -> None:
    found = binaries()
    if found is None:
        pytest.skip("KUBE_APISERVER and ETCD are not set; the emulated API server is not compared")
    with real_api(tmp_path, *found) as (url, ca):
        real = hold(url, ca, TOKENS, STEPS)
    with KubernetesApi(controllers=False) as api:
        tokens = TOKENS | {"admin": api.admin_token, "alice": api.access.issue("alice", "devs")}
        emulated = hold(api.url, api.ca, tokens, STEPS)
    for step, theirs, ours in zip(STEPS, real, emulated, strict=True):
        assert ours == theirs, step


def test_every_step_is_answered() -> None:
    """Without a real one: the emulated server knows every request, and refuses when it should."""
    with KubernetesApi(controllers=False) as api:
        tokens = TOKENS | {"admin": api.admin_token, "alice": api.access.issue("alice", "devs")}
        answers = hold(api.url, api.ca, tokens, STEPS)
    assert {answer.code for answer in answers} <= {
        200,
        201,
        400,
        401,
        403,
        404,
        405,
        409,
        415,
        422,
        500,
        504,
    }
    unexpected = [
        (step, answer)
        for step, answer in zip(STEPS, answers, strict=True)
        if answer.code == 500 and "typed patch" not in answer.body["message"]
    ]
    assert not unexpected
