"""Rebuild the schema's package data: `octelium/schema/pb/descriptors.binpb` and its type stubs.

The official packages come from a FileDescriptorSet made by `derive_schema.py`; our own packages are
written as `.proto` files in `octelium/schema/proto` and compiled here. Stored fields may not change
their number or type; `tests/schema/fields.txt` remembers them.

Usage: build_schema.py OFFICIAL_DESCRIPTOR_SET [OUTPUT_DIR]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO_DIR = ROOT / "octelium/schema/proto"
PB_DIR = ROOT / "octelium/schema/pb"
TABLE = ROOT / "tests/schema/fields.txt"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def own_files(official: Path) -> list[descriptor_pb2.FileDescriptorProto]:
    """Compile our own packages against the official ones."""
    sources = sorted(PROTO_DIR.glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "own.binpb"
        virtual = [f"octelium/schema/pb/{source.name}" for source in sources]
        staged = Path(scratch) / "src/octelium/schema/pb"
        staged.mkdir(parents=True)
        for source in sources:
            (staged / source.name).write_bytes(source.read_bytes())
        arguments = [
            "protoc",
            f"--proto_path={Path(scratch) / 'src'}",
            f"--proto_path={WELL_KNOWN}",
            f"--descriptor_set_in={official}",
            f"--descriptor_set_out={output}",
            *virtual,
        ]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc refused the packages in octelium/schema/proto")
        return list(descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file)


def well_known_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """The descriptors of Google's well-known types, which the stub generator wants to see."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "google.binpb"
        names = [
            f"google/protobuf/{name}.proto"
            for name in (
                "timestamp",
                "duration",
                "struct",
                "any",
                "empty",
                "wrappers",
                "field_mask",
            )
        ]
        command = ["protoc", f"--proto_path={WELL_KNOWN}", f"--descriptor_set_out={output}", *names]
        if protoc.main(command) != 0:
            raise SystemExit("protoc did not compile the well-known types")
        return list(descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file)


def write_stubs(files: list[descriptor_pb2.FileDescriptorProto], output_dir: Path) -> None:
    request = plugin_pb2.CodeGeneratorRequest(
        file_to_generate=[file.name for file in files],
        proto_file=[*well_known_files(), *files],
    )
    plugin = Path(sys.executable).parent / "protoc-gen-mypy"
    done = subprocess.run(
        [plugin], input=request.SerializeToString(), stdout=subprocess.PIPE, check=True
    )
    response = plugin_pb2.CodeGeneratorResponse.FromString(done.stdout)
    for generated in response.file:
        (output_dir / Path(generated.name).name).write_text(generated.content)


def write_table(files: list[descriptor_pb2.FileDescriptorProto]) -> None:
    """Add new fields to the table of stored fields; refuse changes of those that it has."""
    sys.path.insert(0, str(ROOT))
    from octelium.schema import field_table, schema_id
    from octelium.schema.kinds import KINDS

    roots = [kind.message.DESCRIPTOR.full_name for kind in KINDS.values()]
    after = field_table.table(
        descriptor_pb2.FileDescriptorSet(file=files), [*roots, *field_table.STORED]
    )
    header, *before = TABLE.read_text().splitlines()
    changed = "\n  ".join(field_table.changes(before, after))
    if changed and header == f"schema {schema_id.SCHEMA_ID}":
        raise SystemExit(
            f"These fields are gone or have another number or type:\n  {changed}\n"
            "Write a migration of stored rows and raise octelium.schema.schema_id.SCHEMA_ID."
        )
    TABLE.write_text("\n".join([f"schema {schema_id.SCHEMA_ID}", *after]) + "\n")


def main() -> None:
    official_path = Path(sys.argv[1]).resolve()
    output_dir = Path(sys.argv[2]) if len(sys.argv) > 2 else PB_DIR
    official = descriptor_pb2.FileDescriptorSet.FromString(official_path.read_bytes())
    with tempfile.NamedTemporaryFile(suffix=".binpb") as everything:
        complete = descriptor_pb2.FileDescriptorSet(file=[*well_known_files(), *official.file])
        everything.write(complete.SerializeToString())
        everything.flush()
        files = [*official.file, *own_files(Path(everything.name))]
    result = descriptor_pb2.FileDescriptorSet(file=files)
    if output_dir == PB_DIR:
        write_table(files)
    (output_dir / "descriptors.binpb").write_bytes(result.SerializeToString(deterministic=True))
    write_stubs(files, output_dir)


if __name__ == "__main__":
    main()
