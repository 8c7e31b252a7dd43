"""The official Python SDK, from PyPI in an environment of its own, against the zipapp over TLS."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import ROOT

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

REQUIREMENTS = "octelium-sdk==1.2.0 octelium-apis==1.0.3"


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """An interpreter that has the SDK; made once and kept in .cache."""
    key = hashlib.sha256(f"{REQUIREMENTS} {sys.version}".encode()).hexdigest()[:12]
    home = ROOT / ".cache" / f"sdk-{key}"
    python = home / "bin/python"
    if not (home / "complete").exists():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "-p", sys.executable, str(home)], check=True)
        command = [uv, "pip", "install", "-q", "-p", str(python), *REQUIREMENTS.split()]
        subprocess.run(command, check=True)
        (home / "complete").touch()
    return python


def test_the_official_sdk_works_on_every_kind(cluster: Cluster, sdk_python: Path) -> None:
    admin = cluster.api()
    made = admin.core(
        "CreateCredential",
        core.Credential(
            metadata=meta.Metadata(name="for-the-sdk"),
            spec=core.CredentialSpec(
                user="root",
                type=core.CredentialSpecType__.AUTH_TOKEN,
                session_type=core.SessionStatusType__.CLIENTLESS,
                authorization=core.CredentialSpecAuthorization(policies=["allow-all"]),
            ),
        ),
    )
    request = core.GenerateCredentialTokenRequest()
    request.credential_ref.uid = made.metadata.uid
    token = admin.core("GenerateCredentialToken", request).authentication_token.authentication_token
    words = [str(cluster.port), str(cluster.data / "ca.pem"), token]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OCTELIUM", "PYTHON"))}
    done = subprocess.run(
        [sdk_python, "-I", ROOT / "tests/e2e/sdk_script.py", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    calls = json.loads(done.stdout)
    whole = ["create", "get", "list", "update", "delete"]
    for kind in [
        "namespace",
        "group",
        "user",
        "policy",
        "secret",
        "config",
        "service",
        "credential",
        "identity_provider",
    ]:
        assert calls[kind] == whole, kind
    assert calls["session"] == ["list", "get"]
    assert calls["cluster_config"] == ["get", "update"]
    assert calls["region"] == ["list", "get"]
