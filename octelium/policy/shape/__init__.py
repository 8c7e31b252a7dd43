"""What `ctx` looks like wherever an expression stands: its members and their types."""
