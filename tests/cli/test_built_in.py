from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from octelium.cluster.seeding import fingerprint, shipped_objects
from octelium.schema.documents import parse_documents

if TYPE_CHECKING:
    from tests.cli.runner import Runner


def test_what_is_shown_is_what_is_shipped(offline: Runner) -> None:
    shown = offline("octops", "built-in")
    assert (shown.code, shown.err) == (0, "")
    documents = parse_documents(shown.out, "built-in")
    own = [one for one in shipped_objects() if not one.metadata.is_system]
    assert [one.message.metadata.name for one in documents] == [one.metadata.name for one in own]
    for given, shipped in zip(documents, own, strict=True):
        assert fingerprint(given.message) == fingerprint(shipped)


def test_one_of_them(offline: Runner) -> None:
    shown = offline("octops", "built-in", "policy", "allow-all")
    value = yaml.safe_load(shown.out)
    assert (value["kind"], value["metadata"]["name"]) == ("Policy", "allow-all")
    shown = offline("octops", "built-in", "service", "demo-nginx")
    assert yaml.safe_load(shown.out)["metadata"]["name"] == "demo-nginx.default"


def test_there_is_none_of_that_name(offline: Runner) -> None:
    shown = offline("octops", "built-in", "policy", "alow-all")
    assert (shown.code, shown.out) == (1, "")
    assert "there is no built-in policy alow-all" in shown.err
    assert "Policy allow-all" in shown.err
