"""People and workloads that sign in, two hundred at a time: a process of its own.

`python -m bench.logins`, with a `Plan` as JSON on the first line of stdin. Then each line is one
order, `{"kind": …, "each": …}`: it makes ready and says so, waits for an empty line, signs in, and
prints a `Wave`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import httpx
import uvloop

from tests.e2e.cluster import Cluster
from tests.e2e.logins import Gates, callers
from tests.peers.oidc import OidcProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from octelium.schema.pb import auth_v1_pb2 as auth
    from tests.e2e.logins import Callers

AT_A_TIME: Final = 200
PEOPLE: Final = tuple(f"person-{number}" for number in range(AT_A_TIME))
WORKLOADS: Final = tuple(f"workload-{number}" for number in range(AT_A_TIME))


@dataclass(frozen=True)
class Plan:
    """Where to sign in, and what workloads prove themselves with."""

    folder: str
    """Of the Cluster."""
    port: int
    issuer: str
    authority: str
    """File with the certificate authority of the provider."""
    tokens: Sequence[str]
    assertions: Sequence[str]


@dataclass(frozen=True)
class Wave:
    """How it went."""

    logins: int
    seconds: float
    failures: Sequence[str]


class Crowd:
    """Everybody who signs in. Each of them does so `each` times, one after the other."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cluster = Cluster(Path(plan.folder), port=plan.port)
        self._gates = Gates(
            self._cluster,
            OidcProvider(plan.issuer),
            self._cluster.tls(),
            ssl.create_default_context(cafile=plan.authority),
        )

    async def serve(self) -> None:
        """Follow the orders until there are no more."""
        async with callers(self._cluster) as api:
            while line := await asyncio.to_thread(sys.stdin.readline):
                order = json.loads(line)
                logins = await self._prepare(api, order["kind"])
                print("ready", flush=True)
                await asyncio.to_thread(sys.stdin.readline)
                wave = await _wave(logins, order["each"])
                print(json.dumps(asdict(wave)), flush=True)

    async def _prepare(self, api: Callers, kind: str) -> list[Callable[[], Awaitable[object]]]:
        """What each of them does to sign in."""
        if kind == "oidc":
            return [partial(self._visit, name) for name in PEOPLE]
        if kind == "assertion":
            return [partial(api.with_assertion, assertion) for assertion in self._plan.assertions]
        if kind == "token":
            return [partial(api.with_token, token) for token in self._plan.tokens]
        held = await asyncio.gather(*map(api.with_token, self._plan.tokens))
        return [_Renewal(api, tokens) for tokens in held]

    async def _visit(self, name: str) -> None:
        async with self._gates.visitor(name) as browser:
            page = await browser.sign_in(self._cluster.url("hello"))
            if page.text != "hello":
                raise AssertionError(f"{name} is at {page.url}: {page.status_code}")


class _Renewal:
    """One Session, renewed again and again."""

    def __init__(self, api: Callers, tokens: auth.SessionToken) -> None:
        self._api = api
        self._tokens = tokens

    async def __call__(self) -> None:
        self._tokens = await self._api.renew(self._tokens.refresh_token)


async def _wave(logins: Sequence[Callable[[], Awaitable[object]]], each: int) -> Wave:
    failures: list[str] = []

    async def one(login: Callable[[], Awaitable[object]]) -> None:
        for _ in range(each):
            try:
                await login()
            except (httpx.HTTPError, grpc.aio.AioRpcError, AssertionError, KeyError) as error:
                failures.append(f"{type(error).__name__}: {error}"[:300])

    started = time.perf_counter()
    await asyncio.gather(*map(one, logins))
    return Wave(len(logins) * each, time.perf_counter() - started, failures)


if __name__ == "__main__":
    uvloop.run(Crowd(Plan(**json.loads(sys.stdin.readline()))).serve())
