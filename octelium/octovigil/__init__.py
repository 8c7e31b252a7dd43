"""The policy decision point: replica and policies in, decisions out."""
