"""Layers and the OCI image layout, as one tar file; the same inputs give the same bytes.

See the OCI image specification: image-layout.md, manifest.md, config.md, layer.md. `manifest.json`
is beside them for programs that know Docker's form only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LEVEL = 6
"""Of gzip: 9 takes four times as long, for a hundredth less."""
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Entry:
    """How a path is in a layer where it is not root's, of mode 0755 or 0644."""

    mode: int
    owner: int = 0


@dataclass(frozen=True)
class Layer:
    """A compressed layer."""

    content: bytes
    diff_id: str
    """SHA-256 of the tar file in it."""
    size: int
    """Bytes of the tar file in it."""
    what: str
    """For the image's history."""

    @property
    def digest(self) -> str:
        """SHA-256 of the compressed bytes."""
        return _sha256(self.content)


def layer(
    root: Path,
    what: str,
    epoch: int,
    entries: Mapping[str, Entry] | None = None,
    level: int = LEVEL,
) -> Layer:
    """A layer of all that is in a folder. `entries`: path in it → how it is; `level`: of gzip."""
    special = dict(entries or {})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts):
            name = str(path.relative_to(root))
            entry = special.pop(name, None)
            info = _info(path, name, epoch, entry)
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    if special:
        raise ValueError(f"not in the layer: {sorted(special)}")
    raw = buffer.getvalue()
    compressed = io.BytesIO()
    with gzip.GzipFile("", "wb", level, compressed, mtime=0) as file:
        file.write(raw)
    return Layer(compressed.getvalue(), _sha256(raw), len(raw), what)


def _info(path: Path, name: str, epoch: int, entry: Entry | None) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    status = path.lstat()
    info.mtime = epoch
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
    elif stat.S_ISDIR(status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(status.st_mode):
        info.size = status.st_size
        info.mode = 0o755 if status.st_mode & 0o100 else 0o644
    else:
        raise ValueError(f"{path} is neither a file, a folder nor a link")
    if entry is not None:
        info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
    return info


def write(
    output: Path,
    layers: Sequence[Layer],
    config: Mapping[str, Any],
    name: str,
    epoch: int,
    platform: Mapping[str, str],
) -> str:
    """Write the image `name` (`octelium:1.0.0`) to a tar file; the digest of its manifest.

    `config` is the part of that name in the image's configuration; `platform` has `os` and
    `architecture`.
    """
    created = _time(epoch)
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media_type: str) -> dict[str, Any]:
        digest = _sha256(content)
        blobs[digest.removeprefix("sha256:")] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    image = {
        "created": created,
        **platform,
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [part.diff_id for part in layers]},
        "history": [{"created": created, "created_by": part.what} for part in layers],
    }
    configured = blob(_json(image), CONFIG)
    described = [blob(part.content, LAYER) for part in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": configured,
        "layers": described,
        "annotations": dict(config.get("Labels", {})),
    }
    top = blob(_json(manifest), MANIFEST)
    digest: str = top["digest"]
    top["platform"] = dict(platform)
    top["annotations"] = {
        "org.opencontainers.image.ref.name": name,
        # The name in full, under which containerd and Kubernetes look for a name without a host.
        "io.containerd.image.name": f"docker.io/library/{name}",
        "org.opencontainers.image.created": created,
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}
    docker = [
        {
            "Config": _place(configured),
            "RepoTags": [name],
            "Layers": [_place(described_) for described_ in described],
        }
    ]
    draft = output.with_name(f".{output.name}.draft")
    with draft.open("wb") as file:
        _archive(
            file,
            {
                "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
                "index.json": _json(index),
                "manifest.json": _json(docker),
                **{f"blobs/sha256/{key}": blobs[key] for key in sorted(blobs)},
            },
            epoch,
        )
    draft.replace(output)
    return digest


def _archive(file: IO[bytes], contents: Mapping[str, bytes], epoch: int) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("blobs", "blobs/sha256"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, epoch
            tar.addfile(info)
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o644, epoch
            tar.addfile(info, io.BytesIO(content))


def _place(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _time(epoch: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
