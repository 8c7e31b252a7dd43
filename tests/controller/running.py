"""A controller in a process of its own: `running.py SERVER CA TOKEN NAMESPACE COUNT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from octelium.controller.controller import Controller
from octelium.controller.kube.account import Account
from octelium.controller.kube.api import Api
from octelium.controller.objects.desired import desired
from octelium.controller.objects.settings import Settings
from tests.controller.world import CLUSTER, PACE, managed


async def main(server: str, ca: str, token: str, namespace: str, count: str) -> None:
    """Keep `count` containers until killed."""
    wants = {one.key: one for one in map(managed, range(int(count)))}
    settings = Settings(namespace=namespace)
    controller = Controller(
        Api(Account(server, Path(ca), Path(token)), namespace),
        CLUSTER,
        "first",
        wants=lambda: wants,
        complete=lambda: True,
        build=lambda one: desired(one, CLUSTER, settings),
        tell=lambda _: None,
        pace=PACE,
    )
    await controller.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
