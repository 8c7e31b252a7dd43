"""The objects of Kubernetes that a managed container consists of. No I/O."""

from __future__ import annotations

from octelium.controller.objects.desired import desired
from octelium.controller.objects.outcome import Desired, Manifest, Problem
from octelium.controller.objects.settings import Settings

__all__ = ["Desired", "Manifest", "Problem", "Settings", "desired"]
