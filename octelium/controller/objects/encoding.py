"""Objects as the bytes of a request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from octelium.controller.objects.outcome import Manifest

_BEYOND_ASCII: Final = re.compile("[\x7f-\uffff]")


def encode(manifest: Manifest) -> bytes:
    """JSON that is YAML 1.1 too, since an API server reads a server-side apply as YAML.

    YAML knows no escapes by surrogate pairs, so that characters beyond the basic plane
    stand for themselves; of the others it takes some only escaped, so that all of them are.
    """
    text = json.dumps(manifest, ensure_ascii=False, separators=(",", ":"))
    return _BEYOND_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
