"""Containers as a kubelet has them run, by Debian's runc: no root, no capability, nothing to write.

An image is read from its OCI layout (image-layout.md, layer.md of the OCI image specification)
and started by the OCI runtime specification's config.json, with the masks that container runtimes
set for Kubernetes by default (the Pod Security Standards' `/proc` mount type Default and seccomp
profile RuntimeDefault). Needs root. Nothing of the machine changes: networks are a test's own
namespaces, and cgroups end with their containers.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import secrets
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_runc = partial(program, "runc", "runc")
_SECONDS = 300

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEW* of clone(2): mount, cgroup, UTS, IPC, user, PID, network."""
_REFUSED = (
    "acct", "add_key", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_mempolicy",
    "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
    "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "migrate_pages",
    "mount", "mount_setattr", "move_mount", "move_pages", "nfsservctl", "open_by_handle_at",
    "open_tree", "perf_event_open", "personality", "pivot_root", "process_vm_readv",
    "process_vm_writev", "ptrace", "quotactl", "quotactl_fd", "reboot", "request_key",
    "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "swapoff", "swapon",
    "sysfs", "syslog", "umount2", "unshare", "userfaultfd", "ustat", "vhangup",
)  # fmt: skip
"""What RuntimeDefault refuses to processes without capabilities, beside new namespaces."""
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
_SETS = ("bounding", "effective", "permitted")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class ImageError(Exception):
    """A file is no OCI image; says why."""


@dataclass(frozen=True)
class Image:
    """An image for one platform, every blob compared with its digest."""

    config: dict[str, Any]
    manifest: dict[str, Any]
    index: dict[str, Any]
    layers: tuple[bytes, ...] = field(repr=False)
    """The tar files, decompressed."""

    def unpack(self, folder: Path) -> Path:
        """Lay out the layers in a new folder, one above the other."""
        folder.mkdir()
        for layer in self.layers:
            _apply(layer, folder)
        return folder


def read_image(path: Path) -> Image:
    """The image in a tar file of an OCI layout. Raises ImageError."""
    with tarfile.open(path) as archive:
        files = {
            member.name: _read(archive, member) for member in archive.getmembers() if member.isreg()
        }
    if json.loads(files.get("oci-layout", b"{}")).get("imageLayoutVersion") != "1.0.0":
        raise ImageError("no oci-layout of version 1.0.0")

    def blob(descriptor: Mapping[str, Any]) -> bytes:
        kind, _, value = descriptor["digest"].partition(":")
        content = files.get(f"blobs/{kind}/{value}")
        if content is None:
            raise ImageError(f"there is no blob {descriptor['digest']}")
        if kind != "sha256" or hashlib.sha256(content).hexdigest() != value:
            raise ImageError(f"the blob {descriptor['digest']} is another one")
        if len(content) != descriptor["size"]:
            raise ImageError(
                f"the blob {descriptor['digest']} is not of {descriptor['size']} bytes"
            )
        return content

    index = json.loads(files["index.json"])
    (described,) = index["manifests"]
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    layers = []
    for descriptor, diff in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        plain = gzip.decompress(blob(descriptor))
        if f"sha256:{hashlib.sha256(plain).hexdigest()}" != diff:
            raise ImageError(f"the layer {descriptor['digest']} unpacks to another than {diff}")
        layers.append(plain)
    return Image(config, manifest, index, tuple(layers))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    with file:
        return file.read()


_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


def _apply(layer: bytes, folder: Path) -> None:
    """Lay one layer over what is there, as its whiteouts say (layer.md, "Whiteouts")."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = archive.getmembers()
        for member in members:
            place = folder / member.name
            parent = place.parent.resolve()
            if not parent.is_relative_to(folder.resolve()):
                raise ImageError(f"{member.name} leads out of the image")
            if place.name == _OPAQUE:
                for old in parent.iterdir():
                    _remove(old)
            elif place.name.startswith(_WHITEOUT):
                _remove(parent / place.name.removeprefix(_WHITEOUT))
        for member in members:
            if not Path(member.name).name.startswith(_WHITEOUT):
                archive.extract(member, folder, numeric_owner=True, filter="fully_trusted")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Mount:
    """A folder of the test in a container, or an empty one in memory where `source` is None."""

    place: str
    source: Path | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Spec:
    """One container, as a Pod's template asks for it."""

    args: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    user: int = 10001
    group: int = 10001
    groups: Sequence[int] = ()
    read_only: bool = True
    directory: str = "/"
    memory: int = 0
    """Most bytes; 0 for no limit."""
    hostname: str = "octelium"
    capabilities: Sequence[str] = ()
    no_new_privileges: bool = True
    sysctls: Mapping[str, str] = field(default_factory=dict)
    allowed_calls: Sequence[str] = ()
    """System calls that RuntimeDefault refuses and this container may make."""
    devices: Sequence[tuple[str, int, int]] = ()
    """Character devices: path, major, minor."""
    unmasked: bool = False
    """`procMount: Unmasked`."""


def seccomp(allowed: Sequence[str] = ()) -> dict[str, Any]:
    """A profile of the effect of RuntimeDefault for a process without capabilities."""
    refused = [name for name in _REFUSED if name not in allowed]
    profile: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    }
    if "clone" not in allowed:
        # What clone3(2) is asked for lies in memory, where a filter cannot look: not there at all.
        namespaces = [
            {"index": 0, "value": 1 << bit, "valueTwo": 1 << bit, "op": "SCMP_CMP_MASKED_EQ"}
            for bit in range(32)
            if _NEW_NAMESPACES >> bit & 1
        ]
        profile["syscalls"] += [
            {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [argument]}
            for argument in namespaces
        ]
        profile["syscalls"].append(
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
        )
    return profile


def configuration(spec: Spec, root: Path, network: str) -> dict[str, Any]:
    """config.json of the OCI runtime specification. `network`: a network namespace's path."""
    mounts: list[dict[str, Any]] = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
               "ptmxmode=0666", "mode=0620"),
        _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    ]  # fmt: skip
    for mount in spec.mounts:
        if mount.source is None:
            mounts.append(_mount(mount.place, "tmpfs", "tmpfs", "nosuid", "nodev", "mode=1777"))
        else:
            access = "ro" if mount.read_only else "rw"
            mounts.append(_mount(mount.place, "bind", str(mount.source), "rbind", access))
    resources: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}]}
    devices = []
    for path, major, minor in spec.devices:
        node = {"type": "c", "major": major, "minor": minor}
        devices.append({**node, "path": path, "fileMode": 0o666, "uid": 0, "gid": 0})
        resources["devices"].append({**node, "allow": True, "access": "rwm"})
    if spec.memory:
        resources["memory"] = {"limit": spec.memory}
    linux: dict[str, Any] = {
        "namespaces": [
            {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            {"type": "network", "path": network},
        ],
        "resources": resources,
        "devices": devices,
        "sysctl": dict(spec.sysctls),
        "seccomp": seccomp(spec.allowed_calls),
    }  # fmt: skip
    if not spec.unmasked:
        linux |= {"maskedPaths": list(_MASKED), "readonlyPaths": list(_READ_ONLY)}
    may = list(spec.capabilities)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": spec.user, "gid": spec.group, "additionalGids": list(spec.groups)},
            "args": list(spec.args),
            "env": [f"{name}={value}" for name, value in spec.environment.items()],
            "cwd": spec.directory,
            "capabilities": dict.fromkeys(_SETS, may),
            "noNewPrivileges": spec.no_new_privileges,
        },
        "root": {"path": str(root), "readonly": spec.read_only},
        "hostname": spec.hostname,
        "mounts": mounts,
        "linux": linux,
    }


def _mount(place: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": place, "type": kind, "source": source, "options": list(options)}


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    name: str
    process: subprocess.Popen[bytes] = field(repr=False)
    log: Path
    state: Path = field(repr=False)

    def run(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end, as its user, as `kubectl exec` does."""
        words = [_runc(), "--root", str(self.state), "exec", self.name, *args]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if check and done.returncode:
            raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
        return done

    def processes(self) -> list[int]:
        """The ids that this machine has for all its processes."""
        words = [_runc(), "--root", str(self.state), "ps", "--format", "json", self.name]
        done = subprocess.run(words, capture_output=True, timeout=_SECONDS, check=True)
        found: list[int] = json.loads(done.stdout)
        return found

    def said(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace")


@contextmanager
def container(name: str, spec: Spec, root: Path, folder: Path, network: str) -> Iterator[Container]:
    """A container with a root that others may share, in a network namespace, until the end."""
    bundle = folder / name
    bundle.mkdir()
    unique = f"{name}-{secrets.token_hex(4)}"  # names its cgroups too
    state = folder / "runc"
    (bundle / "config.json").write_text(json.dumps(configuration(spec, root, network)))
    log = bundle / "log"
    runc = [_runc(), "--root", str(state)]
    with log.open("wb") as output:
        # A session of its own: an interrupt at the terminal is not for it.
        process = subprocess.Popen(
            [*runc, "run", "--bundle", str(bundle), unique],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    made = Container(unique, process, log, state)
    try:
        yield made
    finally:
        subprocess.run(
            [*runc, "delete", "--force", unique], capture_output=True, timeout=_SECONDS, check=False
        )
        process.wait(_SECONDS)


def resident(processes: Sequence[int]) -> int:
    """Bytes of memory that processes have to themselves, shared pages divided (proc(5), smaps)."""
    total = 0
    for number in processes:
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024
