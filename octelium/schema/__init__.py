"""Resource kinds: descriptors, strict parsing, validation, names and defaults."""
