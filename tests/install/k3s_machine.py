"""A machine for bootstrap.sh: a folder that stands for it, with stand-ins of k3s and of what tells
about the machine. Nothing outside the folder is changed, and nobody has to be root.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.install.releases import ROOT, checksums
from tests.peers.programs import program

PROGRAM = Path(__file__).with_name("k3s_program.py")
ADDRESS, ADDRESS6 = "203.0.113.10", "2001:db8::10"
DOMAIN = "203-0-113-10.sslip.io"
CA = "-----BEGIN CERTIFICATE-----\nT2N0ZWxpdW0=\n-----END CERTIFICATE-----\n"
CA_SHA256 = hashlib.sha256(b"Octelium").hexdigest()
_SHELLS = {
    "dash": lambda: [program("dash", "dash")],
    "busybox": lambda: [program("busybox", "busybox"), "sh"],
}
_ROUTE4 = f"192.0.2.1 via 203.0.113.254 dev eth0 src {ADDRESS} uid 0"
_ROUTE6 = f"2001:db8::1 from :: via fe80::1 dev eth0 src {ADDRESS6} metric 1"
_VENDOR = """#!/bin/sh
set -eu
[ "${INSTALL_K3S_SKIP_DOWNLOAD:-}" = true ] || cp FOLDER/k3s.download FOLDER/local-bin/k3s
env | grep ^INSTALL_K3S >FOLDER/vendor
test -x FOLDER/local-bin/k3s
"""
_CURL = """#!/bin/sh
# What a front door answers, or the place of k3s' makers; nothing else is there.
set -eu
for word; do
  case ${before:-} in -o) output=$word ;; esac
  before=$word
done
printf '%s\\n' "$*" >>FOLDER/asked
if [ "$before" = https://get.k3s.io ] && [ -e FOLDER/online ]; then
  cp FOLDER/vendor.sh "$output"
elif [ -e FOLDER/front ]; then
  case $before in
    https://*/ca.pem) cp FOLDER/front "$output" ;;
    *) echo 'curl: (6) Could not resolve host' >&2; exit 6 ;;
  esac
else
  echo 'curl: (7) Failed to connect' >&2; exit 7
fi
"""
_IP = f"""#!/bin/sh
case $* in
  *'route get 192.0.2.1') echo '{_ROUTE4}' ;;
  *'route get 2001:db8::1') [ ! -e FOLDER/ipv6 ] || echo '{_ROUTE6}' ;;
  *'route show default'*) cat FOLDER/ipv6 ;;
  *'address show')
    echo '1: lo    inet 127.0.0.1/8 scope host lo'
    echo '2: eth0    inet {ADDRESS}/24 scope global eth0'
    echo '2: eth0    inet6 {ADDRESS6}/64 scope global'
    ;;
esac
"""
_GETENT = f"""#!/bin/sh
case $2 in *sslip.io | *a.example) echo '{ADDRESS} STREAM' ;; *) exit 2 ;; esac
"""
READY = {
    "metadata": {"name": "node-1", "annotations": {"k3s.io/node-args": '["server"]'}},
    "spec": {"podCIDRs": ["10.42.0.0/24"]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
STORAGE = {
    "metadata": {
        "name": "local-path",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    }
}


@dataclass
class K3sMachine:
    """The folder, and the shell that runs bootstrap.sh in it."""

    folder: Path
    shell: str = "dash"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "local-bin", "booted", "temporary", "net", "etc", "var"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "os-release").write_text("ID=debian\nVERSION_ID=12\n")
        (self.folder / "proc/net").mkdir(parents=True)
        self.write("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 1500000 kB\n")
        self.write("proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\n")
        self.write("vendor.sh", _VENDOR)
        self.put("ip", _IP)
        self.put("curl", _CURL)
        self.put("getent", _GETENT)
        self.put("nproc", "#!/bin/sh\necho 2\n")
        self.put("uname", "#!/bin/sh\necho x86_64\n")
        self.put("id", "#!/bin/sh\necho 0\n")
        self.put("systemctl", "#!/bin/sh\n")
        self.put("hostname", "#!/bin/sh\nexit 1\n")
        self.put("timedatectl", "#!/bin/sh\necho yes\n")
        self.put("df", "#!/bin/sh\necho Filesystem\necho disk 9000000 0 9000000 0% /\n")
        k3s = shlex.join([sys.executable, "-S", "-E", str(PROGRAM), str(self.folder / "state")])
        self.write("k3s.download", f'#!/bin/sh\nexec {k3s} "$@"\n')
        (self.folder / "k3s.download").chmod(0o755)
        self.state = {
            "version": "v1.33.4+k3s1",
            "runs": True,
            "server": "",
            "said": [],
            "images": {},
            "applied": [],
            "addresses": [],
            "settings": "",
            "workload": {},
            "volume": str(self.folder / "var/volume"),
            "ca": CA,
            "spoils": [],
            "refuses": "",
            "fails": False,
            "objects": {"nodes": [READY], "storageclass": [STORAGE]},
        }

    @property
    def state(self) -> dict[str, Any]:
        """What the stand-in of k3s knows; a new value is taken as a whole."""
        read: dict[str, Any] = json.loads((self.folder / "state").read_text())
        return read

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self.write("state", json.dumps(value))

    def change(self, **values: Any) -> None:
        """Have the stand-in know something else."""
        self.state = {**self.state, **values}

    def add(self, kind: str, *objects: dict[str, Any]) -> None:
        """Have its API server have further objects, or other nodes and storage classes."""
        state = self.state
        state["objects"][kind] = list(objects)
        self.state = state

    def write(self, name: str, text: str) -> Path:
        """A file in the folder, in which FOLDER stands for the folder's path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("FOLDER", str(self.folder)))
        return path

    def put(self, name: str, text: str) -> None:
        """A program before all others on PATH."""
        self.write(f"bin/{name}", text).chmod(0o755)

    def have_k3s(self) -> None:
        """As if k3s had been installed."""
        target = self.folder / "local-bin/k3s"
        target.write_bytes((self.folder / "k3s.download").read_bytes())
        target.chmod(0o755)

    def serve(self, content: str = CA) -> None:
        """Have every address answer as a Cluster with that certificate does."""
        self.write("front", content)

    def script(self) -> Path:
        """bootstrap.sh with the folder's paths instead of the machine's."""
        text = (ROOT / "k3s/bootstrap.sh").read_text()
        for name, value in {
            "CODE": "code", "CONFIG": "etc/k3s.yaml", "BACKUPS": "var/backups", "BARE": "bare",
            "RANCHER": "var/rancher", "K3S_CONFIG": "etc/rancher/50-octelium.yaml",
            "K3S_BIN": "local-bin/k3s", "PROC": "proc", "OS_RELEASE": "os-release",
            "BOOTED": "booted", "LOCK": "lock", "TEMPORARY": "temporary",
            "CONTROLLERS": "controllers",
        }.items():  # fmt: skip
            text, replaced = re.subn(
                rf"^(readonly.* {name}=)\S+",
                rf"\g<1>{self.folder / value}",
                text,
                flags=re.MULTILINE,
            )
            assert replaced == 1, name
        return self.write("bootstrap.sh", text)

    def bootstrap(
        self, release: str = "good", *options: str, before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run it with a release of this folder; stderr is in stdout."""
        words = [str(self.script()), "--from", str(self.folder / release), *options]
        command = shlex.join([*_SHELLS[self.shell](), *words])
        path = f"{self.folder}/bin:{self.folder}/local-bin:{os.defpath}"
        return subprocess.run(
            ["sh", "-c", f"{before}\nexec {command}"],
            env={"PATH": path, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
            start_new_session=True,  # without a terminal
        )

    def files(self) -> dict[str, str]:
        """All that bootstrap.sh may change, but what it only looks at with."""
        found = {}
        for top in ("code", "etc", "var", "local-bin", "temporary"):
            for path in sorted((self.folder / top).rglob("*")):
                name = str(path.relative_to(self.folder))
                found[name] = path.read_text() if path.is_file() else "a folder"
        return {**found, "images": json.dumps(self.state["images"])}


def k3s_release(folder: Path, version: str) -> None:
    """A release with the manifests, and with an image that has nothing but its name in it."""
    folder.mkdir()
    content = hashlib.sha256(version.encode()).hexdigest()
    named = {"io.containerd.image.name": f"docker.io/library/octelium:{version}"}
    index = {"manifests": [{"digest": f"sha256:{content}", "annotations": named}]}
    with tarfile.open(folder / f"octelium-{version}-linux-amd64.oci.tar", "w") as tar:
        written = json.dumps(index).encode()
        info = tarfile.TarInfo("index.json")
        info.size = len(written)
        tar.addfile(info, io.BytesIO(written))
    with tarfile.open(folder / f"octelium-{version}-k3s.tar", "w") as tar:
        for path in sorted((ROOT / "k3s").rglob("*.yaml")):
            tar.add(path, path.relative_to(ROOT))
    (folder / "bootstrap.sh").write_bytes((ROOT / "k3s/bootstrap.sh").read_bytes())
    (folder / "install.sh").write_bytes((ROOT / "install.sh").read_bytes())
    checksums(folder)


def k3s_files(machine: K3sMachine, release: str) -> Path:
    """k3s itself in the place of a release, as for a machine without a network."""
    folder = machine.folder / release / "k3s"
    folder.mkdir()
    (folder / "k3s").write_bytes((machine.folder / "k3s.download").read_bytes())
    (folder / "k3s-airgap-images-amd64.tar.zst").write_text("images")
    (folder / "install.sh").write_text((machine.folder / "vendor.sh").read_text())
    checksums(folder)
    return folder
