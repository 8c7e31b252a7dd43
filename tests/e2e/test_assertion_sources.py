"""`octelium login --assertion` by what platforms really do: their files, addresses and answers."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cluster import DOMAIN
from tests.e2e.documents import workload
from tests.e2e.private_network import PrivateNetwork, private_network
from tests.peers.https import http_server
from tests.peers.issuer import issuer
from tests.peers.platforms import METADATA_ADDRESS, Job, ManagedIdentity

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.e2e.documents import Document
    from tests.peers.issuer import Issuer

KUBERNETES = "https://kubernetes.default.svc.cluster.local"
SERVICE_ACCOUNT = "system:serviceaccount:default:app"
OBJECT = "1f2d6bb5-5a4f-4a0c-8a2b-0f6a6d5c1b7e"
JOB = "repo:example/app:ref:refs/heads/main"
MOUNT = """
mount -t tmpfs tmpfs "$(readlink -f /var/run)"
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
cat >/var/run/secrets/kubernetes.io/serviceaccount/token
"""


@dataclass(frozen=True)
class World:
    """A machine that is a pod, a virtual machine of Azure and a runner of GitHub at once."""

    network: PrivateNetwork
    job: Job
    pods: Issuer

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `octelium` as somebody who has never logged in."""
        home = self.network.folder / f"home-{len(list(self.network.folder.iterdir()))}"
        return self.network.host.run(
            *(sys.executable, "-m", "octelium", "octelium", *words),
            env=self.network.environment(OCTELIUM_HOME=str(home), **more),
            check=False,
        )

    def login(self, assertion: str, **more: str) -> str:
        """Who that is, or what is wrong with it."""
        done = self.run("login", "--assertion", assertion, **more)
        assert done.returncode == int("Logged in" not in done.stderr), done.stderr
        return done.stderr


def documents(**providers: dict[str, Any]) -> Iterator[Document]:
    """IdentityProviders and their workloads."""
    subjects = {"kubernetes": SERVICE_ACCOUNT, "azure": OBJECT, "github": JOB}
    for name, spec in providers.items():
        yield {
            "kind": "IdentityProvider",
            "metadata": {"name": name},
            "spec": {"oidcIdentityToken": spec},
        }
        identity = {"identityProvider": name, "identifier": subjects[name]}
        yield workload(f"on-{name}", authentication={"identities": [identity]})


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with private_network(tmp_path_factory.mktemp("platforms")) as made, ExitStack() as stack:
        host = made.host
        host.ip(f"address add {METADATA_ADDRESS}/32 dev lo")
        github, azure, kubernetes = (
            stack.enter_context(issuer(host.listen("127.0.0.1"))) for _ in range(3)
        )
        metadata = stack.enter_context(http_server(host.listen(METADATA_ADDRESS, 80)))
        ManagedIdentity(metadata, azure, OBJECT)
        keys = {"issuer": KUBERNETES, "jwksContent": json.dumps(kubernetes.jwks)}
        made.cluster.apply(
            *documents(
                github={"issuerURL": github.url},
                azure={"issuerURL": azure.url, "audience": DOMAIN},
                kubernetes=keys,
            )
        )
        yield World(made, Job(github, JOB), kubernetes)


def test_a_service_account_of_kubernetes(world: World) -> None:
    missing = world.login("k8s")
    assert "cannot read the assertion in /var/run/secrets/kubernetes.io" in missing
    token = world.pods.token(SERVICE_ACCOUNT, f"https://{DOMAIN}", iss=KUBERNETES)
    world.network.host.run("sh", "-ec", MOUNT, input=token)
    assert "as on-kubernetes" in world.login("kubernetes:k8s")


def test_a_managed_identity_of_azure(world: World) -> None:
    assert "as on-azure" in world.login("azure")
    refused = world.login(f"azure:azure:audience=https://{DOMAIN}")
    assert "the Cluster does not accept this assertion" in refused


def test_a_job_of_github_actions(world: World) -> None:
    job = world.job.environment
    assert "as on-github" in world.login("github-actions", **job)
    refused = world.login("github-actions:audience=https://other.test", **job)
    assert "the Cluster does not accept this assertion" in refused
    refused = world.login("github-actions", **{**job, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "old"})
    assert "GitHub Actions gives no token: Bad credentials" in refused


def test_every_command_takes_it_from_the_environment(world: World) -> None:
    done = world.run("status", OCTELIUM_AUTH_ASSERTION="azure")
    assert done.returncode == 0, done.stderr
    assert "on-azure" in done.stdout
