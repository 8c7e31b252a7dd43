from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from octelium.schema import field_table, pb, schema_id
from octelium.schema.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = [f"octelium/schema/pb/{name}_v1.proto" for name in ("meta", "core", "user", "auth")]


def checked_in() -> descriptor_pb2.FileDescriptorSet:
    raw = resources.files("octelium.schema.pb").joinpath("descriptors.binpb").read_bytes()
    return descriptor_pb2.FileDescriptorSet.FromString(raw)


def test_the_descriptors_are_split_as_protobuf_does() -> None:
    raw = resources.files("octelium.schema.pb").joinpath("descriptors.binpb").read_bytes()
    assert list(pb._files(raw)) == [file.SerializeToString() for file in checked_in().file]
    with pytest.raises(ValueError, match="damaged"):
        list(pb._files(b"\x12\x00"))


def stored_fields(files: descriptor_pb2.FileDescriptorSet) -> list[str]:
    roots = [kind.message.DESCRIPTOR.full_name for kind in KINDS.values()]
    return field_table.table(files, [*roots, *field_table.STORED])


def test_stored_fields_keep_their_numbers_and_types() -> None:
    header, *recorded = (Path(__file__).parent / "fields.txt").read_text().splitlines()
    current = stored_fields(checked_in())
    remedy = "run ./build.sh schema, which says what to do"
    assert field_table.changes(recorded, current) == [], remedy
    assert current == recorded, remedy
    assert header == f"schema {schema_id.SCHEMA_ID}", remedy


def test_a_changed_number_type_or_name_is_a_change_and_an_addition_is_none() -> None:
    recorded = stored_fields(checked_in())
    for edit in ("number", "type", "name"):
        files = checked_in()
        [core] = [file for file in files.file if file.package.endswith("core.v1")]
        [spec] = [message for message in core.message_type if message.name == "GroupSpec"]
        if edit == "number":
            spec.field[1].number = 77
        elif edit == "type":
            spec.field[1].type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            spec.field[1].type_name = ""
        else:
            spec.field[1].name = "attributes"
        [changed] = field_table.changes(recorded, stored_fields(files))
        assert changed.startswith("core.v1.GroupSpec.attrs ")
    files = checked_in()
    [core] = [file for file in files.file if file.package.endswith("core.v1")]
    [spec] = [message for message in core.message_type if message.name == "GroupSpec"]
    spec.field.add(name="added", number=99, type=descriptor_pb2.FieldDescriptorProto.TYPE_BOOL)
    assert field_table.changes(recorded, stored_fields(files)) == []


def derived(output: Path) -> descriptor_pb2.FileDescriptorSet:
    """Derive the official packages from PyPI, in an environment of their own."""
    lock = ROOT / "locks/apis.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    home = ROOT / f".cache/schema-test-{digest}-{sys.version_info[0]}.{sys.version_info[1]}"
    python = home / "bin/python"
    installed = home / "installed"
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
        ]
        subprocess.run([*install, "--require-hashes", "-r", lock], check=True)
        installed.touch()
    subprocess.run([python, ROOT / "scripts/derive_schema.py", output], check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())


def test_the_official_schema_is_that_of_the_pinned_package(tmp_path: Path) -> None:
    ours = {file.name: file for file in checked_in().file}
    theirs = {file.name: file for file in derived(tmp_path / "official.binpb").file}
    assert sorted(theirs) == sorted(OFFICIAL)
    for name in OFFICIAL:
        assert ours[name] == theirs[name], f"{name} differs: run ./build.sh schema"


def test_our_own_packages_are_compiled_from_their_sources() -> None:
    """Each field and method of a .proto file stands in the descriptors, and the reverse."""
    files = {file.name.rpartition("/")[2]: file for file in checked_in().file}
    sources = sorted((ROOT / "octelium/schema/proto").glob("*.proto"))
    assert sources
    for source in sources:
        text = re.sub(r"//.*", "", source.read_text())
        written = {
            (name, int(number))
            for name, number in re.findall(r"(\w+)\s*=\s*(\d+)\s*(?:\[[^\]]*\])?;", text)
        }
        compiled: set[tuple[str, int]] = set()
        waiting = list(files[source.name].message_type)
        for enum in files[source.name].enum_type:
            compiled.update((value.name, value.number) for value in enum.value)
        while waiting:
            message = waiting.pop()
            if not message.options.map_entry:
                compiled.update((field.name, field.number) for field in message.field)
            for enum in message.enum_type:
                compiled.update((value.name, value.number) for value in enum.value)
            waiting.extend(message.nested_type)
        assert written == compiled, f"{source.name} differs: run ./build.sh schema"
        methods = {
            method.name for service in files[source.name].service for method in service.method
        }
        assert methods == set(re.findall(r"rpc\s+(\w+)", text))
