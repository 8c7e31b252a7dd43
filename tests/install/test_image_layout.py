"""The form of the container image: layers, digests, names, and the same bytes each time."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SOAK
from tests.install.scripts import script
from tests.peers.containers import ImageError, read_image

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_700_000_000
PLATFORM = {"os": "linux", "architecture": "amd64"}
_NAMES = st.text("abcXY.-_", min_size=1, max_size=8).filter(
    lambda name: name.strip(".") and not name.startswith(".wh.")
)
_TREES: st.SearchStrategy[Any] = st.recursive(
    st.binary(max_size=40) | st.just("to/somewhere"),
    lambda inner: st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


layout: Any = script("image_layout")


def plant(folder: Path, tree: dict[str, Any]) -> None:
    """Make files (bytes), links (texts) and folders (dictionaries)."""
    for name, what in tree.items():
        path = folder / name
        if isinstance(what, dict):
            path.mkdir()
            plant(path, what)
        elif isinstance(what, bytes):
            path.write_bytes(what)
        else:
            path.symlink_to(what)


def found(folder: Path) -> dict[str, Any]:
    """The reverse of `plant`."""
    return {
        path.name: str(path.readlink())
        if path.is_symlink()
        else found(path)
        if path.is_dir()
        else path.read_bytes()
        for path in folder.iterdir()
    }


def image(path: Path, *layers: Any) -> str:
    """Write an image."""
    digest: str = layout.write(path, layers, {"User": "1:1"}, "it:1", EPOCH, PLATFORM)
    return digest


def packed(members: dict[str, bytes | None]) -> Any:
    """A layer with these names: files, or folders where there are no bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    raw = buffer.getvalue()
    return layout.Layer(layout.gzip.compress(raw), layout._sha256(raw), len(raw), "by hand")


@settings(max_examples=500 if SOAK else 25)
@given(tree=st.dictionaries(_NAMES, _TREES, max_size=5))
def test_what_is_packed_comes_out(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]
) -> None:
    """Whatever the order, times, masks and owners of the files that it is made of."""
    base = tmp_path_factory.mktemp("tree")
    for name, order in (("one", list(tree)), ("two", list(reversed(tree)))):
        (base / name).mkdir()
        plant(base / name, {key: tree[key] for key in order})
    for path in (base / "two").rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1, 1))
            path.chmod(0o700 if path.is_dir() else 0o600)
    layers = [layout.layer(base / name, "tree", EPOCH) for name in ("one", "two")]
    assert layers[0].content == layers[1].content
    assert image(base / "1.tar", layers[0]) == image(base / "2.tar", layers[1])
    assert (base / "1.tar").read_bytes() == (base / "2.tar").read_bytes()
    read = read_image(base / "1.tar")
    assert found(read.unpack(base / "out")) == tree
    with tarfile.open(fileobj=io.BytesIO(read.layers[0])) as tar:
        for member in tar.getmembers():
            assert (member.uid, member.gid, member.mtime) == (0, 0, EPOCH)
            assert (member.uname, member.gname) == ("", "")


def test_modes_and_owners(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    plant(tree, {"own": {}, "program": b"#!", "text": b""})
    (tree / "program").chmod(0o4755)
    made = layout.layer(tree, "it", EPOCH, {"own": layout.Entry(0o700, 7)})
    with tarfile.open(fileobj=io.BytesIO(layout.gzip.decompress(made.content))) as tar:
        seen = {member.name: (member.mode, member.uid, member.gid) for member in tar}
    assert seen == {"own": (0o700, 7, 7), "program": (0o755, 0, 0), "text": (0o644, 0, 0)}
    with pytest.raises(ValueError, match="not in the layer: \\['absent'\\]"):
        layout.layer(tree, "it", EPOCH, {"absent": layout.Entry(0o700)})
    os.mkfifo(tree / "pipe")
    with pytest.raises(ValueError, match="neither a file, a folder nor a link"):
        layout.layer(tree, "it", EPOCH)


def test_names_of_it(tmp_path: Path) -> None:
    """containerd finds it by the annotation, docker by manifest.json."""
    tree = tmp_path / "tree"
    tree.mkdir()
    made = layout.layer(tree, "nothing", EPOCH)
    digest = image(tmp_path / "it.tar", made)
    read = read_image(tmp_path / "it.tar")
    (top,) = read.index["manifests"]
    assert top["digest"] == digest
    assert top["annotations"]["io.containerd.image.name"] == "docker.io/library/it:1"
    assert top["annotations"]["org.opencontainers.image.ref.name"] == "it:1"
    assert top["platform"] == PLATFORM
    assert read.config["created"] == "2023-11-14T22:13:20Z"
    with tarfile.open(tmp_path / "it.tar") as tar:
        names = tar.getnames()
        file = tar.extractfile("manifest.json")
        assert file is not None
        (docker,) = json.loads(file.read())
    assert docker["RepoTags"] == ["it:1"]
    assert {docker["Config"], *docker["Layers"]} <= set(names)
    assert stat.S_IMODE((tmp_path / "it.tar").stat().st_mode) & 0o444 == 0o444


def test_later_layers_hide_what_is_below(tmp_path: Path) -> None:
    below = packed({"a": None, "a/one": b"1", "a/two": b"2", "b": None, "b/old": b"", "c": b"c"})
    above = packed({"a/.wh.one": b"", "b/.wh..wh..opq": b"", "b/new": b"n", "c": b"C"})
    image(tmp_path / "it.tar", below, above)
    folder = read_image(tmp_path / "it.tar").unpack(tmp_path / "out")
    assert found(folder) == {"a": {"two": b"2"}, "b": {"new": b"n"}, "c": b"C"}


def test_nothing_leads_out_of_it(tmp_path: Path) -> None:
    image(tmp_path / "it.tar", packed({"../escaped": b""}))
    with pytest.raises(ImageError, match="leads out"):
        read_image(tmp_path / "it.tar").unpack(tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("what", ["content", "missing", "version"])
def test_damage_is_seen(tmp_path: Path, what: str) -> None:
    """The reader that the other tests rely on refuses what is not by the digests."""
    image(tmp_path / "it.tar", packed({"a": b"a"}))
    with tarfile.open(tmp_path / "it.tar") as old, tarfile.open(tmp_path / "bad.tar", "w") as new:
        changed = False
        for member in old.getmembers():
            file = old.extractfile(member)
            content = file.read() if file else b""
            last = member.name.startswith("blobs/sha256/") and not changed
            if what == "missing" and last:
                changed = True
                continue
            if what == "content" and last:
                content, changed = bytes([content[0] ^ 1]) + content[1:], True
            elif what == "version" and member.name == "oci-layout":
                content, changed = b'{"imageLayoutVersion":"9.9.9"}', True
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
        assert changed
    with pytest.raises(ImageError):
        read_image(tmp_path / "bad.tar")
