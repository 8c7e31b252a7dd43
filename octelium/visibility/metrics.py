"""Counters of the processes, in the Prometheus text format.

Each worker sends its counters as one JSON object; the control process adds them up when it is
asked. See the Prometheus documentation, "Exposition formats".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it counts, and whether it only ever grows."""

    name: str
    help: str
    kind: str = "counter"


METRICS = (
    Metric("octelium_requests_total", "Requests that arrived."),
    Metric("octelium_connections", "Open downstream connections.", "gauge"),
    Metric("octelium_connections_refused_total", "Connections refused by a limit."),
    Metric("octelium_log_records_total", "Access-log records handed to the log store."),
    Metric("octelium_log_records_dropped_total", "Access-log records lost."),
    Metric("octelium_log_records_waiting", "Access-log records that wait for the store.", "gauge"),
    Metric("octelium_log_write_failures_total", "Batches that the log store could not write."),
    Metric("octelium_memo_hits_total", "Decisions taken from the memo."),
    Metric("octelium_memo_misses_total", "Decisions evaluated."),
    Metric("octelium_private_connections", "Open connections through tunnels.", "gauge"),
    Metric("octelium_private_connections_total", "Connections through tunnels."),
    Metric("octelium_private_datagrams_total", "Datagrams through tunnels that began a flow."),
    Metric(
        "octelium_private_refused_total", "Calls through tunnels that nothing could be made of."
    ),
    Metric("octelium_dns_answers_total", "Answers of the Cluster's DNS to clients."),
    Metric("octelium_dns_dropped_total", "DNS messages that were too many, or no questions."),
    Metric("octelium_dns_filtered_total", "DNS answers that pointed into the private network."),
    Metric("octelium_dns_unanswered_total", "DNS questions that no other resolver answered."),
    Metric("octelium_tunnel_peers", "Sessions that are connected to the tunnel.", "gauge"),
    Metric("octelium_tunnel_peers_live", "Those of them with a session of WireGuard.", "gauge"),
    Metric("octelium_tunnel_received_bytes_total", "Bytes from peers of the tunnel."),
    Metric("octelium_tunnel_sent_bytes_total", "Bytes to peers of the tunnel."),
    Metric("octelium_tunnel_events_total", "What the tunnel did and dropped, by event."),
    Metric("octelium_containers_wanted", "Containers that Services ask for.", "gauge"),
    Metric("octelium_containers_ready", "Those of them that requests may be sent to.", "gauge"),
    Metric("octelium_controller_connected", "Whether the controller was heard of.", "gauge"),
    Metric("octelium_controller_leading", "Whether this controller is the one to write.", "gauge"),
    Metric("octelium_controller_reports_refused_total", "Reports of it that were not believed."),
    Metric("octelium_replica_revision", "Store revision that a process decides on.", "gauge"),
    Metric("octelium_store_revision", "Committed revision of the store.", "gauge"),
)
_BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(slots=True)
class Registry:
    """The latest counters of every process: `{process: {series: value}}`.

    A series is a metric's name, with labels in braces if it has any:
    `octelium_requests_total{decision="allowed"}`.
    """

    processes: dict[str, dict[str, float]] = field(default_factory=dict)

    def update(self, process: str, series: dict[str, float]) -> None:
        """Replace what `process` last told."""
        self.processes[process] = series

    def receive(self, process: str, payload: bytes) -> None:
        """As `update`, from a worker's message.

        Raises:
            ValueError: the payload is not a JSON object of numbers.
        """
        value = json.loads(payload)
        if not isinstance(value, dict) or not all(
            isinstance(number, int | float) for number in value.values()
        ):
            raise ValueError("counters must be a JSON object of numbers")
        self.update(process, value)

    def render(self) -> str:
        """The exposition text; each series carries the label `process`."""
        lines: dict[str, list[str]] = {}
        for process, series in sorted(self.processes.items()):
            for name, value in sorted(series.items()):
                match = _NAME.match(name)
                if match is None or match.group() not in _BY_NAME:
                    continue
                labels = name[match.end() :].strip("{}")
                both = ",".join(part for part in (f'process="{process}"', labels) if part)
                lines.setdefault(match.group(), []).append(f"{match.group()}{{{both}}} {value:g}")
        out = []
        for name, series_lines in lines.items():
            metric = _BY_NAME[name]
            out += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}", *series_lines]
        return "\n".join(out) + "\n"
