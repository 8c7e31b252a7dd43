"""Every command of docs/ and README.md, run as it stands; every YAML applied, used or tried."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING

import yaml

from tests.docs.markdown import ROOT, SHELL, Block, blocks, documents
from tests.docs.runner import Runner
from tests.docs.world import DOMAIN, LAPTOP, SERVER, World, world
from tests.e2e.cluster import wait_for
from tests.http import certs
from tests.peers import sdk

if TYPE_CHECKING:
    from pathlib import Path

FIRST_HOUR = "docs/first-hour.md"
ORDER = (
    "docs/README.md", "docs/install.md", "docs/k3s.md", "docs/terminal.md",
    "docs/troubleshooting.md", "docs/services.md", "docs/containers.md", "docs/native-apps.md",
    "docs/policies.md",
    "docs/connect.md", "docs/backup.md", "docs/reference.md", "docs/identity.md", "docs/gitops.md",
    "README.md",
)  # fmt: skip
"""Where documents build on nothing else; those that change who may sign in come late."""
MOST = 10
"""Commands of the first hour."""
_ALBUM = """
octeliumctl publish 2342 --name album --served-by homelab --policy allow-all
octeliumctl create credential --user homelab -o token > token
octeliumctl create credential --user homelab --type access-token -o token > access
"""
"""What the containers of docs/connect.md find."""
_SIGN_IN = """
import sys
import grpc
from tests.e2e.cluster import Api
with open("/var/lib/octelium/ca.pem", "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with grpc.secure_channel("octelium-api.example.com:443", credentials) as channel:
    print(Api(channel).authenticate(sys.stdin.read().strip()).access_token)
"""


def named() -> dict[str, Path]:
    """The documents by their paths."""
    return {file.relative_to(ROOT).as_posix(): file for file in documents()}


def texts() -> str:
    return "\n".join(file.read_text() for file in documents())


def runner(here: World, name: str) -> Runner:
    made = Runner(here, here.folder / "run" / name)
    made.folder.mkdir(parents=True)
    return made


def test_nothing_is_left_out() -> None:
    """Every document is in the order, and every reason says something."""
    assert named().keys() == {*ORDER, FIRST_HOUR}
    for file in documents():
        for block in blocks(file):
            assert block.language == SHELL or not block.not_run, block.place
            assert "not-run" not in block.said or len(block.not_run) > 20, block.place


def test_the_first_hour() -> None:
    """From nothing to a friend who is let in and shut out again, one command a step."""
    with world(texts()) as here:
        made = runner(here, FIRST_HOUR)
        bob = Friend()
        made.after.append(bob.look)
        made.document(named()[FIRST_HOUR])
        assert bob.seen == [
            ("grant bob app --path", "200 403 403"),
            ("grant bob app\n", "200 200 200"),
            ("revoke bob app", "403 403 403"),
        ]
        assert made.run == MOST


class Friend:
    """Bob, by a token that only the test makes: what he gets after each step about him."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def look(self, made: Runner, block: Block) -> None:
        asked = "https://app.example.com"
        script = (
            f'curl -s -o /dev/null -w "%{{http_code}}" -H "X-Octelium-Auth: $(cat bob)" {asked}'
        )
        if "policy explain" in block.text:  # with the id of the page that he gets
            header = f"{script.replace('%{http_code}', '%header{x-octelium-request-id}')}/files"
            told = f'octeliumctl policy explain --log "$({header})"'
            done = made.world.shell(told, SERVER, made.folder)
            assert "Refused: no rule allows it" in done.stdout
            assert "User bob" in done.stdout
        if "create user bob" in block.text:
            words = "octeliumctl create credential --user bob -o token"
            python = f"PYTHONPATH={ROOT} {shlex.quote(sys.executable)} -c {shlex.quote(_SIGN_IN)}"
            signed = f"{words} | {python} > bob"
            done = made.world.shell(signed, SERVER, made.folder)
            assert done.returncode == 0, done.stdout
        for step in ("grant bob app --path", "grant bob app\n", "revoke bob app"):
            if step in block.text:
                ways = (f"{script}/albums", f"{script}/files", f"{script}/albums -X POST")
                got = made.world.shell("; echo -n ' '; ".join(ways), SERVER, made.folder)
                self.seen.append((step, got.stdout))


def test_all_other_documents() -> None:
    """One Cluster for all of them, each in a folder of its own."""
    failed = []
    with world(texts()) as here:
        here.start_cluster()
        _provide(here)
        for name in ORDER:
            made = runner(here, name)
            made.host = LAPTOP if name == "docs/connect.md" else SERVER
            made.special = SPECIAL
            _prepare(here, made)
            try:
                made.document(named()[name])
            except (AssertionError, RuntimeError) as error:
                failed.append(f"{name}: {error}")
    assert not failed, "\n\n".join(failed)


def _provide(here: World) -> None:
    """Programs that documents name and a reader would have."""
    script = here.folder / "bin/python-with-octelium-sdk"
    # The SDK trusts the authorities that the platform does.
    script.write_text(f'#!/bin/sh\nexec {sdk.python()} "$@"\n')
    script.chmod(0o755)


def _prepare(here: World, made: Runner) -> None:
    """Files that a reader would have."""
    pair = certs.issue(DOMAIN, f"*.{DOMAIN}", issuer=certs.ca())
    (made.folder / "fullchain.pem").write_bytes(pair.chain + certs.ca().chain)
    (made.folder / "privkey.pem").write_bytes(pair.key)
    end = int(time.time()) + 7200
    token = here.job.issuer.token(here.job.subject, f"https://{DOMAIN}", exp=end)
    (made.folder / "job-token").write_text(token)
    shutil.copytree(ROOT / "examples", made.folder / "examples")
    (made.folder / "dist").symlink_to(here.folder / "bin")


def _workflow(made: Runner, block: Block) -> None:
    """The steps of a job, as the runner of GitHub Actions runs them for a push."""
    told = yaml.safe_load(block.text)
    environment = {**told["env"], **made.world.job.environment}
    before = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    (job,) = told["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert len(steps) == len(job["steps"]) - 1
    for step in steps:
        done = made.world.shell(before + step, SERVER, made.folder)
        assert done.returncode == 0, f"{block.place}: {step}\n{done.stdout}"
    made.run += len(steps)


def _container(made: Runner, block: Block, words: list[str], environment: dict[str, str]) -> None:
    """Run the command of a container on the laptop, with its environment and a real token."""
    if not (made.folder / "token").exists():
        done = made.world.shell(_ALBUM, SERVER, made.folder)
        assert done.returncode == 0, done.stdout
    token = (made.folder / "token").read_text().strip()
    given = {**environment, "OCTELIUM_AUTH_TOKEN": token}
    before = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in given.items())
    begun = len(made.world.running)
    made.world.background(
        f"{before}exec {shlex.join(words)}", LAPTOP, made.folder, "Connected to example.com"
    )
    asked = 'curl -fsS https://album.example.com/there -H "X-Octelium-Auth: $(cat access)"'

    def answers() -> bool:
        return '"target": "/there"' in made.world.shell(asked, SERVER, made.folder).stdout

    wait_for(answers, 60, every=0.5)
    made.world.end(begun)


def _compose(made: Runner, block: Block) -> None:
    told = yaml.safe_load(block.text)["services"]["octelium"]
    _container(made, block, told["command"], told["environment"])


def _sidecar(made: Runner, block: Block) -> None:
    _, told = yaml.safe_load(block.text)["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in told["env"] if "value" in each}
    _container(made, block, told["command"], environment)


SPECIAL = {
    ".github/workflows/cluster.yaml": _workflow,
    "compose.yaml": _compose,
    "sidecar.yaml": _sidecar,
}
"""Files that other programs read."""
