"""Access-log entries, their sinks and metrics."""
