"""Many resources at once: decided, validated and written in one transaction, or not at all."""
