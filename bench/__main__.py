"""`python -m bench NAME`: run one benchmark and print what it found."""

from __future__ import annotations

import argparse
import sys

from bench.processes import BenchError, ended_by_signals


def main() -> int:
    """0 when the measurement was made and every bar met, 1 when a bar was missed, 2 when it could
    not be made.
    """
    parser = argparse.ArgumentParser(prog="./build.sh bench", description=__doc__)
    parser.add_argument(
        "name",
        choices=(
            *("dns", "flood", "http", "identity", "parts", "policy"),
            *("relay", "sessions", "start", "store", "tui", "tunnel"),
        ),
    )
    parser.add_argument("--json", action="store_true", help="all values as JSON on stdout")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a burst (4)")
    arguments = parser.parse_args()
    if not 1 <= arguments.rounds <= 100 or not 1 <= arguments.seconds <= 600:
        parser.error("--rounds is from 1 to 100, --seconds from 1 to 600")
    ended_by_signals()
    try:
        if arguments.name == "dns":
            from bench import dns

            report = dns.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "flood":
            from bench import flood

            report = flood.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "http":
            from bench import http

            report = http.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "identity":
            from bench import identity

            report = identity.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "parts":
            from bench import parts

            report = parts.run(arguments.rounds)
        elif arguments.name == "policy":
            from bench import policy

            report = policy.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "relay":
            from bench import relay

            report = relay.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "sessions":
            from bench import sessions

            report = sessions.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "start":
            from bench import start

            report = start.run(arguments.rounds)
        elif arguments.name == "tui":
            from bench import tui

            report = tui.run(arguments.rounds, arguments.seconds)
        elif arguments.name == "tunnel":
            from bench import tunnel

            report = tunnel.run(arguments.rounds, arguments.seconds)
        else:
            from bench import store

            report = store.run(arguments.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(report.to_json() if arguments.json else report.to_text())
    return 0 if all(bar.met for bar in report.bars) else 1


if __name__ == "__main__":
    sys.exit(main())
