"""Two hosts with an engine of the tunnel each, and a stream between them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.processes import BenchError, cpu
from tests.peers.engine import PORT, EngineProcess, engine_process
from tests.tunnel.engines.pairs import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

MTU: Final = 1280
HERE: Final = {"one": "10.9.0.1", "other": "10.9.0.2"}
INSIDE: Final = {"one": "10.100.0.1", "other": "10.100.0.2"}
_STREAM: Final = Path(__file__).parent.parent / "tests/peers/stream.py"


class Pair:
    """Two hosts with an engine each that know each other."""

    def __init__(
        self,
        one: Namespace,
        other: Namespace,
        engines: tuple[str, str],
        folder: Path,
        places: tuple[str, str] = (HERE["one"], HERE["other"]),
    ) -> None:
        self.hosts = {"one": one, "other": other}
        self._places = dict(zip(self.hosts, places, strict=True))
        self.engines = dict(zip(self.hosts, engines, strict=True))
        self.keys = {name: keys() for name in self.hosts}
        self.running: dict[str, EngineProcess] = {}
        self._folder = folder

    @contextmanager
    def up(self) -> Iterator[None]:
        """Run them."""
        with ExitStack() as stack:
            for name, host in self.hosts.items():
                self.running[name] = stack.enter_context(
                    engine_process(
                        host,
                        self.keys[name][0],
                        f"{INSIDE[name]}/32",
                        routes="10.100.0.0/24",
                        mtu=MTU,
                        engine=self.engines[name],
                        folder=str(self._folder / f"sockets-{name}"),
                    )
                )
            self._introduce("one", "other")
            self._introduce("other", "one")
            self.running["one"].run("ping", "-c3", "-i0.2", "-W2", INSIDE["other"])
            yield

    @contextmanager
    def stream(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Send from one to the other; what came there is in the dictionary in the end."""
        found: dict[str, Any] = {}
        words = (sys.executable, "-I", str(_STREAM))
        place = (INSIDE["other"], "5201")
        given: dict[str, Any] = {"stdout": subprocess.PIPE}
        with self.hosts["other"].process(*words, "receive", *place, **given) as receiving:
            assert receiving.stdout is not None
            receiving.stdout.readline()
            with self.hosts["one"].process(*words, "send", *place, str(seconds)) as sending:
                yield found
                if sending.wait(seconds + 30):
                    raise BenchError("the stream was reset")
            found.update(json.loads(receiving.stdout.readline()))
        if not found["intact"]:
            raise BenchError("what came is not what was sent")

    def used(self) -> float:
        """Microseconds of CPU that the engines have used."""
        return sum(cpu(each.process.pid) for each in self.running.values())

    def rotate(self) -> None:
        """Give the other end a new key, which ours hears of at once."""
        before, old = self.keys["other"]
        after, new = self.keys["other"] = keys()
        self.running["other"].ask(
            "set_private_key", private_key=after.hex(), previous=[before.hex()]
        )
        self.running["one"].ask("change_peer_key", public_key=old.hex(), new=new.hex())

    def _introduce(self, name: str, to: str) -> None:
        self.running[to].ask(
            "put_peer",
            public_key=self.keys[name][1].hex(),
            allowed_ips=[f"{INSIDE[name]}/32"],
            endpoint=[self._places[name], PORT],
        )
