"""The file for arm64 starts and answers, on a system of that machine."""

from __future__ import annotations

import re

import pytest

from tests.conftest import SOAK
from tests.install.foreign import run_on_arm64
from tests.install.releases import zipapp

_START = """
uname -m
cd /run
python3.11 octelium.pyz --version
python3.11 octelium.pyz up --domain octelium.localhost --data-dir /run/data --workers 1 \
  --listen 127.0.0.1:8443 --admin-listen 127.0.0.1:8480 --tunnel off >up.log 2>&1 &
cluster=$!
for i in $(seq 100); do
  python3.11 octelium.pyz octops probe demo-nginx --data-dir /run/data && break
  kill -0 $cluster || break
  sleep 1
done
cat up.log
kill $cluster
wait $cluster
echo "it ended with $?"
"""


@pytest.mark.skipif(not SOAK, reason="another machine, in software: OCTELIUM_SOAK=1")
def test_the_file_for_arm64_serves() -> None:
    done = run_on_arm64(zipapp("3.11", "aarch64"), _START)
    said = done.stdout
    assert said.startswith("aarch64\noctelium "), said
    assert re.search(r"https://demo-nginx\.octelium\.localhost:8443/ answers 200", said), said
    assert "Octelium serves https://octelium.localhost:8443" in said
    assert said.endswith("it ended with 0\n"), said
