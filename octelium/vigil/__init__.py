"""The policy enforcement point: one module per Service mode."""
