"""Kubeconfig files."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(folder: Path, url: str, ca: Path, token: str, namespace: str) -> Path:
    """Write a new one (JSON is YAML), for nobody but its owner."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "test", "cluster": {"server": url, "certificate-authority": str(ca)}}
        ],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [
            {
                "name": "test",
                "context": {"cluster": "test", "user": "test", "namespace": namespace},
            }
        ],
        "current-context": "test",
    }
    path = folder / f"kubeconfig-{secrets.token_hex(4)}"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    return path
