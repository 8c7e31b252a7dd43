"""Why requests are decided as they are, who may do what, and what a change would do to that."""
