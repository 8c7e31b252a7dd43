from __future__ import annotations

from google.protobuf.json_format import ParseDict

from octelium.octovigil.references import reference
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.octovigil.world import World, uid_of


def test_a_reference_names_the_version() -> None:
    entry = World().entry()
    form = reference(entry)
    assert form == {
        "apiVersion": "core/v1",
        "kind": "Service",
        "uid": uid_of("Service", "wiki.default"),
        "name": "wiki.default",
        "resourceVersion": entry.message.metadata.resource_version,
    }
    assert ParseDict(form, meta.ObjectReference()).resource_version
