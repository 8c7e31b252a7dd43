"""The volumes of a container and where they are mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.quantities import mebibytes

if TYPE_CHECKING:
    from octelium.controller.objects.outcome import Manifest
    from octelium.schema.pb import core_v1_pb2 as core


def volumes_of(container: core.ServiceSpecConfigUpstreamContainer) -> list[Manifest]:
    """Empty directories, and claims of the containers' own namespace: there is no other form."""
    return [{"name": volume.name, **_source(volume)} for volume in container.volumes]


def mounts_of(container: core.ServiceSpecConfigUpstreamContainer) -> list[Manifest]:
    """Where the volumes appear in the container's file system."""
    made = []
    for mount in container.volume_mounts:
        entry: Manifest = {"name": mount.name, "mountPath": mount.mount_path}
        if mount.sub_path:
            entry["subPath"] = mount.sub_path
        if mount.read_only:
            entry["readOnly"] = True
        made.append(entry)
    return made


def keeps_data(container: core.ServiceSpecConfigUpstreamContainer) -> bool:
    """Whether one of its volumes outlives its Pods."""
    return any(volume.HasField("persistent_volume_claim") for volume in container.volumes)


def _source(volume: core.ServiceSpecConfigUpstreamContainerVolume) -> Manifest:
    if volume.HasField("persistent_volume_claim"):
        return {"persistentVolumeClaim": {"claimName": volume.persistent_volume_claim.name}}
    size = volume.empty_dir.size_limit_megabytes
    return {"emptyDir": {"sizeLimit": mebibytes(size)} if size else {}}
