"""Resources with revisions: get, list, transaction, watch, history; encryption at rest."""
