from __future__ import annotations

import subprocess
import sys

from octelium.schema.schema_id import SCHEMA_ID


def test_knowing_the_schema_needs_no_descriptors() -> None:
    program = "import sys, octelium.schema.schema_id; print('google.protobuf' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    assert SCHEMA_ID >= 1
