"""What is taken away is gone by the next request, on connections that are kept alive too."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.conftest import SOAK
from tests.e2e.cluster import Api, Cluster
from tests.e2e.documents import credential, policy, rule, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGN_INS = 10_000 if SOAK else 200


def token_of(cluster: Cluster, name: str) -> dict[str, str]:
    made = json.loads(cluster.ctl("create", "credential", name, "--rotate", "-o", "json"))
    return {"Authorization": f"Bearer {made['accessToken']['accessToken']}"}


@pytest.fixture(scope="module")
def shop(cluster: Cluster, upstream_port: int) -> Cluster:
    cluster.apply(
        policy("shop-rule", rule("ALLOW", 'ctx.user.metadata.name.startsWith("shop-")')),
        workload("shop-a"),
        workload("shop-b"),
        workload("shop-c"),
        service("shop", f"http://127.0.0.1:{upstream_port}", "shop-rule"),
        *(credential(f"shop-{letter}-token", f"shop-{letter}") for letter in "abc"),
    )
    return cluster


def status(http: httpx.Client, cluster: Cluster, bearer: dict[str, str]) -> int:
    return http.get(cluster.url("shop"), headers=bearer).status_code


def test_a_deleted_session_is_refused(shop: Cluster) -> None:
    bearer = token_of(shop, "shop-a-token")
    api = shop.api()
    with shop.http() as http:
        assert status(http, shop, bearer) == 200
        sessions = api.core(
            "ListSession", core.ListSessionOptions(user_ref=meta.ObjectReference(name="shop-a"))
        )
        for session in sessions.items:
            api.core("DeleteSession", meta.DeleteOptions(uid=session.metadata.uid))
        assert status(http, shop, bearer) == 401


def test_a_disabled_user_is_refused(shop: Cluster) -> None:
    bearer = token_of(shop, "shop-b-token")
    api = shop.api()
    with shop.http() as http:
        assert status(http, shop, bearer) == 200
        user = api.core("GetUser", meta.GetOptions(name="shop-b"))
        user.spec.is_disabled = True
        api.core("UpdateUser", user)
        assert status(http, shop, bearer) == 403
        user.spec.is_disabled = False
        api.core("UpdateUser", user)
        assert status(http, shop, bearer) == 200


def test_a_changed_policy_decides_the_next_request(shop: Cluster) -> None:
    bearer = token_of(shop, "shop-c-token")
    api = shop.api()
    with shop.http() as http:
        assert status(http, shop, bearer) == 200
        found = api.core("GetPolicy", meta.GetOptions(name="shop-rule"))
        found.spec.is_disabled = True
        api.core("UpdatePolicy", found)
        assert status(http, shop, bearer) == 403
        found.spec.is_disabled = False
        api.core("UpdatePolicy", found)
        assert status(http, shop, bearer) == 200


def test_open_streams_end_with_the_session(shop: Cluster) -> None:
    bearer = token_of(shop, "shop-a-token")
    api = shop.api()
    options = core.ListSessionOptions(user_ref=meta.ObjectReference(name="shop-a"))

    def read_on(pieces: Iterator[bytes]) -> None:
        for session in api.core("ListSession", options).items:
            api.core("DeleteSession", meta.DeleteOptions(uid=session.metadata.uid))
        for _ in pieces:
            pass

    with (
        shop.http() as http,
        http.stream("GET", shop.url("shop", "/endless"), headers=bearer) as got,
    ):
        assert got.status_code == 200
        pieces = got.iter_raw()
        next(pieces)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            read_on(pieces)


def test_a_fresh_token_is_known_to_every_worker_at_once(shop: Cluster) -> None:
    admin = shop.api()
    made = admin.core(
        "CreateCredential",
        core.Credential(
            metadata=meta.Metadata(name="many-sign-ins"),
            spec=core.CredentialSpec(
                user="root", type=core.CredentialSpecType__.AUTH_TOKEN,
                session_type=core.SessionStatusType__.CLIENT,
            ),
        ),
    )  # fmt: skip
    user = admin.core("GetUser", meta.GetOptions(name="root"))
    user.spec.session.max_per_user = 10_000
    admin.core("UpdateUser", user)
    request = core.GenerateCredentialTokenRequest()
    request.credential_ref.uid = made.metadata.uid
    token = admin.core("GenerateCredentialToken", request).authentication_token.authentication_token
    channels = [shop.channel() for _ in range(8)]  # spread over the workers

    def sign_in(number: int) -> str:
        from octelium.schema.pb import user_v1_pb2 as user_api

        api = Api(channels[number % 8])
        api.authenticate(token)
        other = Api(channels[(number + 3) % 8])
        other.access_token = api.access_token
        session = other.user("GetStatus", user_api.GetStatusRequest()).session
        refresh = {"x_octelium_refresh_token": api.refresh_token}
        api.call(auth, "Logout", auth.LogoutRequest(), **refresh)
        return str(session.metadata.uid)

    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(sign_in, range(SIGN_INS)))
    assert len(set(sessions)) == SIGN_INS


def test_a_change_that_ends_its_author_s_own_right_is_answered(shop: Cluster) -> None:
    admin = shop.api()
    shop.apply(
        policy("own-right", rule("ALLOW")),
        credential(
            "own-right-token", "shop-a", "AUTH_TOKEN", authorization={"policies": ["own-right"]}
        ),
    )
    request = core.GenerateCredentialTokenRequest()
    request.credential_ref.name = "own-right-token"
    token = admin.core("GenerateCredentialToken", request).authentication_token.authentication_token
    api = shop.api(token=token)
    found = api.core("GetPolicy", meta.GetOptions(name="own-right"))
    found.spec.is_disabled = True
    assert api.core("UpdatePolicy", found).spec.is_disabled
    with pytest.raises(grpc.RpcError) as refused:
        api.core("GetPolicy", meta.GetOptions(name="own-right"))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
