"""Derive a FileDescriptorSet of the official API from the PyPI package `octelium-apis`.

Runs in an environment of its own, because `octelium-apis` also installs a package called
`octelium`. The betterproto classes carry field numbers, types, oneofs and enums; the names of
nested messages arrive flattened (`ServiceSpec` for `Service.Spec`).

Usage: derive_schema.py OUTPUT
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import inspect
import sys
import typing
from pathlib import Path

import betterproto
from google.protobuf import descriptor_pb2

PACKAGES = ("meta", "core", "user", "auth")

# The official JSON names that a snake_case to camelCase converter gets wrong.
JSON_NAMES = (
    "CIDRs", "accessKeyID", "attemptUID", "certificateSHA256", "clientID", "connectionID",
    "createDB", "directTCPIPEnd", "directTCPIPStart", "dropDB", "dualStackIP", "eSOCKS5Enable",
    "eSOCKS5Port", "eSSHEnable", "eSSHMode", "eSSHPort", "ekCertificateDER",
    "ekCertificateIntermediatesDER", "entityID", "externalID", "ignoreDNS", "initDB", "isTLS",
    "isUpstreamHTTP2", "issuerURL", "jwksURL", "k8sLabels", "keyID", "listenHTTP2",
    "manufacturerID", "metadataURL", "picURL", "pinnedCertSHA256", "probeID", "requestID",
    "responseID", "sessionID", "tokenID", "tokenURL", "trustedCASHA256", "typeID", "updateDNS",
    "upstreamTLS",
)  # fmt: skip
_JSON_BY_KEY = {name.lower(): name for name in JSON_NAMES}

_FIELD = descriptor_pb2.FieldDescriptorProto
_WELL_KNOWN_FILES = {
    "Timestamp": "timestamp",
    "Duration": "duration",
    "Struct": "struct",
    "Value": "struct",
    "ListValue": "struct",
    "Any": "any",
    "Empty": "empty",
    "FieldMask": "field_mask",
}


def module_name(package: str) -> str:
    return f"octelium.api.main.{package}.v1"


def file_name(package: str) -> str:
    return f"octelium/schema/pb/{package}_v1.proto"


def json_name(field: str) -> str:
    """The official JSON name of a field, from its snake_case name."""
    special = _JSON_BY_KEY.get(field.replace("_", "").lower())
    return special if special is not None else str(betterproto.casing.camel_case(field))


class Deriver:
    """Turns the betterproto modules into file descriptors."""

    def __init__(self) -> None:
        self.modules = {
            package: importlib.import_module(module_name(package)) for package in PACKAGES
        }
        self.type_names: dict[type, str] = {}
        self.files_of: dict[str, str] = {}
        for package, module in self.modules.items():
            for name, cls in self._own_classes(module):
                # Enum values are scoped like their enum; a wrapper message gives each a scope.
                suffix = f"{name}__.{name}" if issubclass(cls, betterproto.Enum) else name
                self.type_names[cls] = f".{module.__name__}.{suffix}"
                self.files_of[self.type_names[cls]] = file_name(package)

    @staticmethod
    def _own_classes(module: typing.Any) -> list[tuple[str, type]]:
        return [
            (name, cls)
            for name, cls in vars(module).items()
            if inspect.isclass(cls)
            and cls.__module__ == module.__name__
            and issubclass(cls, (betterproto.Message, betterproto.Enum))
        ]

    def type_name(self, cls: type) -> str:
        if cls is dt.datetime:
            return ".google.protobuf.Timestamp"
        if cls is dt.timedelta:
            return ".google.protobuf.Duration"
        if cls in self.type_names:
            return self.type_names[cls]
        if cls.__module__.startswith("betterproto.lib"):
            return f".google.protobuf.{cls.__name__}"
        raise KeyError(cls)

    def dependency(self, type_name: str) -> str:
        if type_name.startswith(".google.protobuf."):
            name = type_name.rsplit(".", 1)[1]
            return f"google/protobuf/{_WELL_KNOWN_FILES.get(name, 'wrappers')}.proto"
        return self.files_of[type_name]

    def file(self, package: str) -> descriptor_pb2.FileDescriptorProto:
        module = self.modules[package]
        out = descriptor_pb2.FileDescriptorProto(
            name=file_name(package), package=module.__name__, syntax="proto3"
        )
        used: set[str] = set()
        for name, cls in self._own_classes(module):
            if issubclass(cls, betterproto.Enum):
                self._add_enum(out, name, cls)
            else:
                self._add_message(out, name, cls, used)
        self._add_services(out, module, used)
        dependencies = {self.dependency(name) for name in used} - {out.name}
        out.dependency.extend(sorted(dependencies))
        return out

    @staticmethod
    def _add_enum(out: descriptor_pb2.FileDescriptorProto, name: str, cls: typing.Any) -> None:
        enum = out.message_type.add(name=name + "__").enum_type.add(name=name)
        members = sorted(cls, key=lambda member: member.value != 0)
        if len({member.value for member in members}) != len(members):
            enum.options.allow_alias = True
        for member in members:
            enum.value.add(name=member.name, number=member.value)

    def _add_message(
        self, out: descriptor_pb2.FileDescriptorProto, name: str, cls: typing.Any, used: set[str]
    ) -> None:
        message = out.message_type.add(name=name)
        hints = cls._type_hints()
        element_types = cls()._betterproto.cls_by_field  # noqa: SLF001  (it has no other name)
        oneofs: dict[str, int] = {}
        for field in dataclasses.fields(cls):
            meta = betterproto.FieldMetadata.get(field)
            target = message.field.add(
                name=field.name, number=meta.number, json_name=json_name(field.name)
            )
            hint = hints[field.name]
            repeated = typing.get_origin(hint) is list or bool(meta.map_types)
            target.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if meta.map_types:
                entry = "".join(part.capitalize() for part in field.name.split("_")) + "Entry"
                self._add_map_entry(message, entry, meta.map_types, hint, used)
                target.type = _FIELD.TYPE_MESSAGE
                target.type_name = f".{out.package}.{name}.{entry}"
            else:
                target.type = getattr(_FIELD, "TYPE_" + meta.proto_type.upper())
                if meta.proto_type in ("message", "enum"):
                    if meta.wraps:
                        wrapper = meta.wraps.capitalize().replace("int", "Int")
                        target.type_name = f".google.protobuf.{wrapper}Value"
                    else:
                        target.type_name = self.type_name(element_types.get(field.name, hint))
                    used.add(target.type_name)
            if meta.group:
                if meta.group not in oneofs:
                    oneofs[meta.group] = len(message.oneof_decl)
                    message.oneof_decl.add(name=meta.group)
                target.oneof_index = oneofs[meta.group]
            elif meta.optional:
                target.proto3_optional = True
        for target in message.field:
            if target.proto3_optional:
                target.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name="_" + target.name)

    def _add_map_entry(
        self,
        message: descriptor_pb2.DescriptorProto,
        name: str,
        types: tuple[str, str],
        hint: typing.Any,
        used: set[str],
    ) -> None:
        entry = message.nested_type.add(name=name)
        entry.options.map_entry = True
        for number, (label, kind) in enumerate(zip(("key", "value"), types, strict=True), 1):
            field = entry.field.add(
                name=label,
                number=number,
                label=_FIELD.LABEL_OPTIONAL,
                type=getattr(_FIELD, "TYPE_" + kind.upper()),
                json_name=label,
            )
            if kind in ("message", "enum"):
                field.type_name = self.type_name(typing.get_args(hint)[1])
                used.add(field.type_name)

    def _add_services(
        self, out: descriptor_pb2.FileDescriptorProto, module: typing.Any, used: set[str]
    ) -> None:
        base = getattr(module, "MainServiceBase", None)
        if base is None:
            return
        service = out.service.add(name="MainService")
        for path, handler in base().__mapping__().items():
            method = service.method.add(
                name=path.rsplit("/", 1)[1],
                input_type=self.type_name(handler.request_type),
                output_type=self.type_name(handler.reply_type),
                client_streaming=handler.cardinality.client_streaming,
                server_streaming=handler.cardinality.server_streaming,
            )
            used.update((method.input_type, method.output_type))


def main() -> None:
    deriver = Deriver()
    result = descriptor_pb2.FileDescriptorSet(file=[deriver.file(package) for package in PACKAGES])
    Path(sys.argv[1]).write_bytes(result.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
