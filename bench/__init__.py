"""Measurements beside other programs: `./build.sh bench http|start|store|tunnel … [--json]`.

Rules: one core for the contestant and one for load generator and upstream; all contestants get the
same requests; CPU is that of the contestant's whole process tree, log writer included; rounds are
interleaved and medians count; every process ends with the run.
"""
