"""The life of a Cluster on k3s: bootstrap.sh with a stand-in of k3s, without a network."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK
from tests.install.k3s_machine import (
    ADDRESS,
    ADDRESS6,
    CA,
    CA_SHA256,
    DOMAIN,
    K3sMachine,
    k3s_files,
    k3s_release,
)
from tests.install.releases import ROOT, checksums

if TYPE_CHECKING:
    from pathlib import Path

long = pytest.mark.skipif(not SOAK, reason="a further case: OCTELIUM_SOAK=1")
SHELLS = ["dash", pytest.param("busybox", marks=long)]


@pytest.fixture
def vm(tmp_path: Path) -> K3sMachine:
    """A machine without k3s, a release and the next."""
    made = K3sMachine(tmp_path / "machine")
    k3s_release(made.folder / "good", "1.0.0")
    k3s_release(made.folder / "next", "1.1.0")
    return made


@pytest.fixture
def installed(vm: K3sMachine) -> K3sMachine:
    """A machine with the first release on its k3s."""
    vm.have_k3s()
    vm.serve()
    done = vm.bootstrap()
    assert done.returncode == 0, done.stdout
    return vm


def image(version: str) -> str:
    return f"docker.io/library/octelium:{version}"


@pytest.mark.parametrize("shell", SHELLS)
def test_from_nothing_without_a_network(vm: K3sMachine, shell: str) -> None:
    vm.shell = shell
    k3s_files(vm, "good")
    vm.serve()
    done = vm.bootstrap()
    assert done.returncode == 0, done.stdout
    assert [f"[{number}/6]" in done.stdout for number in range(1, 7)] == [True] * 6
    for text in (
        "checksums verified",
        "https://demo-nginx.a.example/ answers 200",
        f"serves https://{DOMAIN}\n",
        CA_SHA256,
        "octops invite admin --administrator",
    ):
        assert text in done.stdout
    settings = (vm.folder / "etc/rancher/50-octelium.yaml").read_text()
    assert "disable: [traefik, servicelb, metrics-server]\n" in settings
    assert "secrets-encryption: true\n" in settings
    assert re.search(r"^kubelet-arg: \[max-pods=250, pod-max-pids=\d+\]$", settings, re.MULTILINE)
    assert "INSTALL_K3S_SKIP_DOWNLOAD=true" in (vm.folder / "vendor").read_text()
    images = vm.folder / "var/rancher/k3s/agent/images"
    assert [path.name for path in images.iterdir()] == ["k3s-airgap-images-amd64.tar.zst"]
    assert "get.k3s.io" not in (vm.folder / "asked").read_text()
    state = vm.state
    assert state["images"][image("1.0.0")]["labels"] == ["io.cri-containerd.pinned=pinned"]
    assert state["addresses"] == [ADDRESS]
    assert f'domain: "{DOMAIN}"' in state["settings"]
    assert f'public_address: "{ADDRESS}"' in state["settings"]
    assert not (vm.folder / "var/volume/first-token").exists()
    assert list((vm.folder / "temporary").iterdir()) == []


@long
def test_from_nothing_by_the_place_of_k3s(vm: K3sMachine) -> None:
    (vm.folder / "online").touch()
    vm.write("ipv6", "default via fe80::1 dev eth0 proto static metric 1\n")
    node = {
        **vm.state["objects"]["nodes"][0],
        "spec": {"podCIDRs": ["10.42.0.0/24", "fd42::/64"]},
    }
    vm.add("nodes", node)
    vm.serve()
    done = vm.bootstrap()
    assert done.returncode == 0, done.stdout
    assert (vm.folder / "vendor").read_text() == "INSTALL_K3S_CHANNEL=v1.34\n"
    settings = (vm.folder / "etc/rancher/50-octelium.yaml").read_text()
    assert f'node-ip: "{ADDRESS},{ADDRESS6}"' in settings
    assert 'cluster-cidr: "10.42.0.0/16,fd42::/56"' in settings
    assert vm.state["addresses"] == [ADDRESS, ADDRESS6]
    asked = (vm.folder / "asked").read_text()
    assert f"{DOMAIN}:443:[{ADDRESS6}]" in asked


@long
def test_an_ipv6_route_that_forwarding_would_end(vm: K3sMachine) -> None:
    vm.write("ipv6", "default via fe80::1 dev eth0 proto ra metric 1\n")
    vm.write("proc/sys/net/ipv6/conf/eth0/accept_ra", "1\n")
    k3s_files(vm, "good")
    done = vm.bootstrap("good", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert "IPv4 alone: eth0 has its IPv6 route from a router" in done.stdout
    assert "cluster-cidr" not in done.stdout
    vm.write("proc/sys/net/ipv6/conf/eth0/accept_ra", "2\n")
    assert "cluster-cidr" in vm.bootstrap("good", "--dry-run").stdout


def test_again(installed: K3sMachine) -> None:
    """The same version again: nothing is stopped; another setting: a mistake."""
    before = installed.files()
    done = installed.bootstrap()
    assert done.returncode == 0, done.stdout
    assert "is installed already" in done.stdout
    assert "become the administrator" not in done.stdout
    assert installed.files() == before
    assert not [said for said in installed.state["said"] if "scale" in said]
    done = installed.bootstrap("good", "--domain", "other.example", "--dry-run")
    assert done.returncode == 1
    assert f"has domain '{DOMAIN}', and 'other.example' is asked for" in done.stdout


@long
def test_a_setting_that_changes(installed: K3sMachine) -> None:
    """An edited file takes effect: the Pod is another one, and nothing is backed up."""
    config = installed.folder / "etc/k3s.yaml"
    config.write_text(config.read_text() + 'workers: "3"\npublic_port: "8443"\n')
    done = installed.bootstrap()
    assert done.returncode == 0, done.stdout
    assert 'workers: "3"' in installed.state["settings"]
    first, second = installed.state["applied"]
    assert first != second
    assert f"serves https://{DOMAIN}:8443\n" in done.stdout
    assert not (installed.folder / "var/backups").exists()


@long
@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_upgrade(installed: K3sMachine, shell: str) -> None:
    installed.shell = shell
    volume, code = installed.folder / "var/volume", installed.folder / "code"
    done = installed.bootstrap("next")
    assert done.returncode == 0, done.stdout
    assert "Octelium 1.1.0 serves" in done.stdout
    assert set(installed.state["images"]) == {image("1.0.0"), image("1.1.0")}
    (backup,) = (installed.folder / "var/backups").iterdir()
    assert (backup / "data/store/store.db").read_text() == "good"
    assert backup.stat().st_mode & 0o077 == 0
    assert (volume / "data/store/store.db").read_text() == "good"
    k3s_release(installed.folder / "third", "1.2.0")
    done = installed.bootstrap("third")
    assert done.returncode == 0, done.stdout
    assert set(installed.state["images"]) == {image("1.1.0"), image("1.2.0")}
    versions = {path.name.partition("-")[0] for path in code.iterdir()}
    assert versions == {"current", "1.1.0", "1.2.0"}
    older = installed.bootstrap("next")
    assert older.returncode == 1
    assert "has nothing newer than 1.1.0, and 1.2.0 is installed" in older.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_way_back(installed: K3sMachine, shell: str) -> None:
    """A newer version that spoils the store and does not serve: back again, all of it."""
    installed.shell = shell
    installed.change(spoils=["1.1.0"])
    first = installed.state["workload"]
    done = installed.bootstrap("next")
    assert done.returncode == 1
    assert "the store is of version 1.1.0, which none reads" in done.stdout
    assert "the Cluster's last message" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "version 1.1.0 does not work here; 1.0.0-" in last
    assert "is back and serves (https://octelium-api.a.example/ answers 200" in last
    assert installed.state["workload"] == first
    assert (installed.folder / "var/volume/data/store/store.db").read_text() == "good"
    (spoiled,) = (installed.folder / "var/backups").glob("*/refused.*/data/store/store.db")
    assert "1.1.0" in spoiled.read_text()
    assert not (installed.folder / "code/upgrading").exists()
    assert "1.0.0" in (installed.folder / "code/current").readlink().name
    assert installed.bootstrap().returncode == 0


def replaced(vm: K3sMachine, when: str, elsewhere: Path) -> None:
    """Have the Pod's user put a link in the place of its data, as its Pod ends for that file."""
    for name, text in (("store/store.db", "of another"), ("shadow", "secret")):
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / name).write_text(text)
    vm.put(
        "ln",
        """#!/bin/sh
        case $* in *1.1.0*) touch FOLDER/switched ;; esac
        exec /bin/ln "$@"
        """,
    )
    vm.put(
        "k3s",
        f"""#!/bin/sh
        FOLDER/local-bin/k3s "$@" || exit
        case $*:$([ -e FOLDER/switched ] && echo second) in
          *'--replicas=0'*:{when})
            mv FOLDER/var/volume/data FOLDER/var/volume/mine
            /bin/ln -s {elsewhere} FOLDER/var/volume/data ;;
        esac
        """,
    )


def contents(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_link_instead_of_the_data_is_not_backed_up(installed: K3sMachine, tmp_path: Path) -> None:
    """What the Pod's user says is his data is read by root only if it lies there itself."""
    elsewhere = tmp_path / "elsewhere"
    replaced(installed, "", elsewhere)
    before = contents(elsewhere)
    done = installed.bootstrap("next")
    assert done.returncode == 1
    assert "var/volume/data is no folder of its own but leads elsewhere" in done.stdout
    assert "The backup was not finished: 1.0.0-" in done.stdout
    written_by_the_pod = {str(elsewhere / "ca.pem"): CA}
    assert contents(elsewhere) == before | written_by_the_pod
    assert "secret" not in contents(installed.folder / "var/backups").values()
    assert installed.state["workload"]["replicas"] == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_a_link_instead_of_the_data_is_not_followed_on_the_way_back(
    installed: K3sMachine, tmp_path: Path, shell: str
) -> None:
    """The new version's Pod has put it there: it is moved away itself, and the data is back."""
    installed.shell = shell
    installed.change(spoils=["1.1.0"])
    elsewhere = tmp_path / "elsewhere"
    replaced(installed, "second", elsewhere)
    before = contents(elsewhere)
    data = installed.folder / "var/volume/data"
    mode = data.stat().st_mode
    done = installed.bootstrap("next")
    assert done.returncode == 1
    assert "version 1.1.0 does not work here; 1.0.0-" in done.stdout, done.stdout
    assert "is back and serves" in done.stdout
    assert contents(elsewhere) == before
    assert (data.is_symlink(), data.is_dir(), data.stat().st_mode) == (False, True, mode)
    assert (data / "store/store.db").read_text() == "good"
    (refused,) = (installed.folder / "var/backups").glob("*/refused.*/data")
    assert refused.is_symlink()
    assert not list(data.parent.glob(".*"))


@long
def test_manifests_that_are_refused(installed: K3sMachine) -> None:
    installed.change(refuses="1.1.0")
    first = installed.state["workload"]
    done = installed.bootstrap("next")
    assert done.returncode == 1
    assert "the manifests are refused: error: quota exceeded" in done.stdout
    assert "is back and serves" in done.stdout
    assert installed.state["workload"] == first


@long
def test_an_upgrade_that_was_killed(installed: K3sMachine) -> None:
    """The next run takes it back before it does anything else."""
    installed.change(spoils=["1.1.0"])
    # Killed when the new version has taken over.
    installed.put("sleep", "#!/bin/sh\n")
    installed.put("sync", "#!/bin/sh\n[ ! -e FOLDER/kill ] || kill -9 $PPID\n")
    script = installed.folder / "bin/ln"
    script.write_text('#!/bin/sh\n/bin/ln "$@"\ncase $* in *1.1.0*) kill -9 $PPID ;; esac\n')
    script.chmod(0o755)
    done = installed.bootstrap("next")
    assert done.returncode < 0 or done.returncode > 128
    assert (installed.folder / "code/upgrading").exists()
    script.unlink()
    done = installed.bootstrap("good")
    assert done.returncode == 0, done.stdout
    assert "was cut off: taking version and data back first" in done.stdout
    assert "is installed already" in done.stdout
    assert (installed.folder / "var/volume/data/store/store.db").read_text() == "good"
    assert installed.state["workload"]["image"] == image("1.0.0")


@long
def test_a_backup_that_fails(installed: K3sMachine) -> None:
    """The former version goes on."""
    installed.put("cp", '#!/bin/sh\ncase $* in *-aT*) exit 1 ;; esac\nexec /bin/cp "$@"\n')
    done = installed.bootstrap("next")
    assert done.returncode == 1
    assert "The backup was not finished: 1.0.0-" in done.stdout
    workload = installed.state["workload"]
    assert (workload["image"], workload["replicas"]) == (image("1.0.0"), 1)


@long
def test_a_first_version_that_does_not_serve(vm: K3sMachine) -> None:
    """It says why; when that is mended, another run ends well, with the invitation."""
    vm.have_k3s()
    vm.serve()
    vm.change(fails=True)
    done = vm.bootstrap()
    assert done.returncode == 1
    assert "the Cluster does not serve requests: the front door answers 503" in done.stdout
    assert "mend that and run this again" in done.stdout
    vm.change(fails=False)
    done = vm.bootstrap()
    assert done.returncode == 0, done.stdout
    assert "octops invite admin --administrator" in done.stdout


@long
def test_another_server_at_the_address(vm: K3sMachine) -> None:
    """What answers must be this Cluster, not only a Pod that works."""
    vm.have_k3s()
    vm.serve("another certificate")
    done = vm.bootstrap("good", "--timeout", "1")
    assert done.returncode == 1
    assert f"what answers at {ADDRESS} port 443 is not this Cluster" in done.stdout
    (vm.folder / "front").unlink()
    done = vm.bootstrap("good", "--timeout", "1", "--skip-check", "probe")
    assert done.returncode == 1
    assert f"no answer at {ADDRESS} port 443: curl: (7)" in done.stdout


def test_install_sh_hands_over(vm: K3sMachine) -> None:
    """install.sh --k3s runs the bootstrap.sh of the release, once its checksum is right."""
    place = vm.folder / "good"
    (place / "bootstrap.sh").write_text('#!/bin/sh\necho "handed over:" "$@"\n')
    words = ["sh", str(place / "install.sh"), "--k3s", "--domain=a.example", "--dry-run"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    done = run()
    assert (done.returncode, "bootstrap.sh is not what SHA256SUMS says" in done.stderr) == (1, True)
    assert "handed over" not in done.stdout
    checksums(place)
    done = run()
    assert done.returncode == 0, done.stderr
    assert f"handed over: --from {place} --domain=a.example --dry-run\n" in done.stdout


def test_the_manifests_are_those_of_the_release() -> None:
    """What is in k3s/ is what the kustomization names."""
    text = (ROOT / "k3s/kustomization.yaml").read_text()
    names = {path.name for path in (ROOT / "k3s").glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in names if f"- {name}\n" in text} == names
