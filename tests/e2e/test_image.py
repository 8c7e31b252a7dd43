"""The container image as Kubernetes would run it: another user, no capability, a read-only root.

Debian's runc runs the containers; their network is namespaces of the test. The Cluster serves from
one container, and the Deployment that the controller makes of a Service runs in another.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.conftest import SOAK
from tests.e2e.cluster import DOMAIN, ROOT, ZIPAPP, Cluster, wait_for
from tests.e2e.documents import credential, service, workload
from tests.peers.containers import container, read_image
from tests.peers.forward import forward
from tests.peers.kubernetes import KubernetesApi
from tests.peers.namespaces import network
from tests.peers.pods import spec_of, volume
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.peers.containers import Container, Image
    from tests.peers.namespaces import Namespace

PORT, ADMIN = 8443, 8480
POD, OUTSIDE = "10.9.0.1", "10.9.0.2"
TO_UPSTREAMS, UPSTREAM = "10.9.1.1", "10.9.1.2"
USER = 10001
UPSTREAMS = "octelium-upstreams"
NOTHING = "0" * 16
"""No capability, as proc(5) tells it."""
CONTAINER = {
    "port": 8000,
    "image": "octelium",
    "command": ["python3.11", "-m", "http.server", "8000", "--directory"],
    "args": ["/usr/lib/ssl"],
    "securityContext": {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
}
MANIFEST = ROOT / "k3s/statefulset.yaml"
SETTINGS = f'domain: "{DOMAIN}"\npublic_port: "{PORT}"\n'
_LOOK = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
def unshare(flags):
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "capabilities": [status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")],
    "rights": status["NoNewPrivs"], "filter": status["Seccomp"],
    "root": refused(lambda: open("/octelium", "w")),
    "code": refused(lambda: open("/usr/lib/octelium/octelium/__init__.py", "a")),
    "sysctl": refused(lambda: open("/proc/sys/kernel/hostname", "w")),
    "user namespace": refused(lambda: unshare(0x10000000)),
    "shells": [name for name in ("/bin/sh", "/usr/bin/sh", "/bin/bash") if os.path.exists(name)],
    "devices": sorted(os.listdir("/dev")),
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
}))
"""
_IMPORT = """
import importlib, pkgutil, sys
sys.path.insert(0, "/usr/lib/octelium")
import octelium
failed = []
for module in pkgutil.walk_packages(octelium.__path__, "octelium."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            failed.append(f"{module.name}: {error}")
print(failed)
assert len(sys.modules) > 1000
"""


@pytest.fixture(scope="module")
def image() -> Image:
    """The image of the built zipapp, kept under build/ as long as that is the same."""
    if os.geteuid() != 0:
        _not_verified("runc runs other users' containers as root only")
    scripts = sorted((ROOT / "scripts").glob("*image*.py"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in (ZIPAPP, *scripts))).hexdigest()
    folder = ROOT / "build/image/tests"
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{key[:16]}.oci.tar"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in folder.glob("*.tar"):
                old.unlink()
            _build(made)
    return read_image(made)


def _build(output: Path) -> None:
    words: list[str | Path] = [sys.executable, ROOT / "scripts/build_image.py", "--level", "0"]
    words += ["--zipapp", ZIPAPP, "--output", output]
    for further in (["--offline"], []):
        done = subprocess.run([*words, *further], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    if "which apt cannot reach" not in done.stderr:
        raise AssertionError(done.stderr)
    _not_verified(done.stderr)


def _not_verified(why: str) -> None:
    if SOAK:
        pytest.fail(why)
    pytest.skip(why)


class Inside(Cluster):
    """A Cluster whose data is in a Pod's volume."""

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "volume/data"


@dataclass
class World:
    """A Cluster in a container, and what is around it."""

    folder: Path
    image: Image
    root: Path
    """The image's files, which all containers share."""
    pod: Namespace
    outside: Namespace
    upstreams: Namespace
    serving: Container
    controller: Container
    api: KubernetesApi
    cluster: Cluster
    """Its client side, as in the Pod."""

    def ask(self, name: str, path: str, bearer: str = "") -> tuple[int, str]:
        """Status and body of a request from outside."""
        host = f"{name}.{DOMAIN}"
        words: list[str | Path] = [
            program("curl", "curl"),
            "-sS",
            "--cacert",
            self.cluster.data / "ca.pem",
        ]
        words += ["--resolve", f"{host}:{PORT}:{POD}", "-w", "\n%{http_code}"]
        if bearer:
            words += ["-H", f"Authorization: Bearer {bearer}"]
        said = self.outside.run(*words, f"https://{host}:{PORT}{path}").stdout
        body, _, status = said.rpartition("\n")
        return int(status), body


@pytest.fixture(scope="module")
def world(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """It runs, and the administrator is signed in."""
    folder = tmp_path_factory.mktemp("containers")
    root = image.unpack(folder / "root")
    pod_spec = yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]
    volumes = {
        "data": volume(folder / "volume", pod_spec),
        "feed": volume(folder / "feed", pod_spec, 0o2777),
        "settings": volume(folder / "settings", pod_spec, 0o755),
    }
    (volumes["settings"] / "octelium.yaml").write_text(SETTINGS)
    with ExitStack() as stack:
        net = stack.enter_context(network(folder, ("root",)))
        pod, outside, upstreams = map(net.namespace, ("pod", "outside", "upstreams"))
        net.cable(pod, f"{POD}/24", outside, f"{OUTSIDE}/24")
        net.cable(pod, f"{TO_UPSTREAMS}/24", upstreams, f"{UPSTREAM}/24")
        spec = spec_of(pod_spec, "cluster", image, volumes=volumes)
        serving = stack.enter_context(
            container("cluster", spec, root, folder, f"/proc/{pod.keeper.pid}/ns/net")
        )
        cluster = Inside(folder, port=PORT, admin=ADMIN, within=pod.enter)
        cluster.process = serving.process
        ready = [program("curl", "curl"), "-fsS", f"http://127.0.0.1:{ADMIN}/readyz"]

        def is_ready() -> bool:
            if serving.process.poll() is not None:
                if re.search("runc run failed.*(cgroup|not permitted|seccomp)", serving.said()):
                    _not_verified(serving.said())
                raise RuntimeError(serving.said())
            return pod.run(*ready, check=False).returncode == 0

        wait_for(is_ready, 300)
        cluster.login(serving.run("octops", "token").stdout.split()[-1])
        # Only now, so that nothing is asked of it before it is there.
        api = stack.enter_context(KubernetesApi())
        for name in ("namespaces", "accounts", "roles"):
            for document in yaml.safe_load_all((ROOT / f"k3s/{name}.yaml").read_text()):
                _apply(api, document)
        stack.enter_context(forward(pod.listen("127.0.0.1", api.port), api.port))
        account = api.account("octelium", "octelium")
        spec = spec_of(
            pod_spec,
            "controller",
            image,
            volumes={**volumes, "token": account.folder},
            fields={"metadata.name": "octelium-0", "status.hostIPs": "192.0.2.1,2001:db8::1"},
            node=account.environment,
        )
        controller = stack.enter_context(
            container("controller", spec, root, folder, f"/proc/{pod.keeper.pid}/ns/net")
        )
        yield World(folder, image, root, pod, outside, upstreams, serving, controller, api, cluster)


def _apply(api: KubernetesApi, document: dict[str, Any]) -> None:
    meta = document["metadata"]
    kind, name, where = document["kind"], meta["name"], meta.get("namespace", "")
    if (kind, name) == ("ServiceAccount", "default"):  # Kubernetes makes it in every namespace
        wait_for(lambda: api.get(kind, name, where) or {}, 300)
        api.edit(kind, name, document, where)
    else:
        api.add(document)


def test_nobody_in_it_may_more_than_it_must(world: World) -> None:
    said = world.serving.run("python3.11", "-c", _LOOK).stdout
    seen = json.loads(said)
    assert [name for name in seen.pop("devices") if name != "core"] == [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ]  # fmt: skip
    assert seen == {
        "user": [USER, USER],
        "capabilities": [NOTHING] * 4,
        "rights": "1",
        "filter": "2",
        "root": "EROFS",
        "code": "EACCES",
        "sysctl": "EROFS",
        "user namespace": "EPERM",
        "shells": [],
        "token": False,
    }
    looked_at = 0
    for number in world.serving.processes():
        try:
            status = Path(f"/proc/{number}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        looked_at += 1
        assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
        assert f"CapEff:\t{NOTHING}\n" in status
        assert "Seccomp:\t2\n" in status
    assert looked_at >= 3  # supervisor, control, worker


def test_only_the_controller_has_a_token(world: World) -> None:
    """And no more rights on its node than the Cluster has."""
    healthy = [program("curl", "curl"), "-fsS", "http://127.0.0.1:8481/healthz"]
    wait_for(lambda: world.pod.run(*healthy, check=False).returncode == 0, 300)
    seen = json.loads(world.controller.run("python3.11", "-c", _LOOK).stdout)
    assert seen["token"]
    assert seen["user"] == [USER, USER]
    assert seen["capabilities"] == [NOTHING] * 4
    assert (seen["root"], seen["user namespace"]) == ("EROFS", "EPERM")
    look = "import os, sys; sys.exit(os.path.exists('/var/lib/octelium/data'))"
    world.controller.run("python3.11", "-c", look)


def test_all_of_the_code_finds_its_modules(world: World) -> None:
    """What was left out of Python is not missed."""
    assert world.serving.run("python3.11", "-PsS", "-c", _IMPORT).stdout == "[]\n"


def test_licences_and_packages_are_in_it(world: World) -> None:
    packages = sorted(path.name for path in (world.root / "var/lib/dpkg/status.d").iterdir())
    assert "libc6" in packages
    for name in packages:
        assert "opyright" in (world.root / f"usr/share/doc/{name}/copyright").read_text()


def test_files_are_roots_and_nobody_elses_to_write(image: Image, world: World) -> None:
    for path in world.root.rglob("*"):
        status = path.lstat()
        name = str(path.relative_to(world.root))
        if name in ("var/lib/octelium", "run/octelium"):
            assert status.st_uid == USER
        elif not path.is_symlink():
            assert status.st_uid == 0
            assert name == "tmp" or status.st_mode & 0o6022 == 0, path
    assert image.config["config"]["User"] == f"{USER}:{USER}"


def test_a_managed_container_answers(world: World) -> None:
    """A Service that names a container: the controller makes its Deployment, of which one Pod is
    run here as a kubelet would run it.
    """
    api = world.api
    api.kubelet.behave_all("unready")
    world.cluster.apply(
        workload("visitor"),
        credential("visitor-token", "visitor"),
        service("web", "", "allow-all", config={"upstream": {"container": CONTAINER}}),
    )
    made = world.cluster.ctl("create", "credential", "visitor-token", "--rotate", "-o", "json")
    bearer = json.loads(made)["accessToken"]["accessToken"]
    (deployment,) = wait_for(lambda: api.all("Deployment", UPSTREAMS), 300)
    (offered,) = wait_for(lambda: api.all("Service", UPSTREAMS), 300)
    assert world.ask("web", "/", bearer)[0] == 503
    assert world.ask("web", "/")[0] == 401
    # What kube-proxy does: the Service's address is where the Pod is.
    address = offered["spec"]["clusterIP"]
    world.upstreams.ip(f"address add {address}/32 dev to-pod")
    world.pod.ip(f"route add {address}/32 via {UPSTREAM}")
    spec = spec_of(deployment["spec"]["template"]["spec"], "backend", world.image)
    where = f"/proc/{world.upstreams.keeper.pid}/ns/net"
    with container("backend", spec, world.root, world.folder, where) as running:
        begun = [program("curl", "curl"), "-fsS", f"http://{address}:8000/"]
        wait_for(lambda: world.pod.run(*begun, check=False).returncode == 0, 300)
        api.kubelet.behave_all("ready")
        status, body = wait_for(lambda: answered(world.ask("web", "/", bearer)), 300)
        assert (status, "cert.pem" in body) == (200, True)
        assert world.ask("web", "/")[0] == 401
        seen = json.loads(running.run("python3.11", "-c", _LOOK).stdout)
    assert seen["user"] == [USER, USER]
    assert seen["capabilities"] == [NOTHING] * 4
    assert (seen["root"], seen["user namespace"]) == ("EROFS", "EPERM")
    assert not seen["token"]
    world.cluster.ctl("delete", "service", "web")
    wait_for(lambda: not [*api.all("Deployment", UPSTREAMS), *api.all("Service", UPSTREAMS)], 300)


def answered(said: tuple[int, str]) -> tuple[int, str] | tuple[()]:
    """An answer that is no longer that the container is not ready."""
    return () if said[0] == 503 else said
