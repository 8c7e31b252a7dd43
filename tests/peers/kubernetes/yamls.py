"""YAML as the API server reads it: of what JSON can say, with times as plain text."""

from __future__ import annotations

from typing import Any

import yaml

from tests.peers.kubernetes.failure import bad_request

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.CSafeLoader):
    """Without timestamps."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != _TIMESTAMP]
    for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(text: bytes) -> Any:
    """One document. Raises `Failure` 400."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
