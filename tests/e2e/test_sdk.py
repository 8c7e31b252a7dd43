"""The official Python SDK, from PyPI in an environment of its own, against the zipapp over TLS."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import ROOT
from tests.peers import sdk

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

WHOLE = ["create", "get", "list", "update", "delete"]
MADE = (
    "namespace",
    "group",
    "user",
    "policy",
    "secret",
    "config",
    "service",
    "credential",
    "identity_provider",
)
"""Kinds that have all of these."""


def test_the_official_sdk_works_on_every_kind(cluster: Cluster) -> None:
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
        [sdk.python(), "-I", ROOT / "tests/e2e/sdk_script.py", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    calls = json.loads(done.stdout)
    for kind in MADE:
        assert calls[kind] == WHOLE, kind
    assert calls["session"] == ["list", "get"]
    assert calls["cluster_config"] == ["get", "update"]
    assert calls["region"] == ["list", "get"]
