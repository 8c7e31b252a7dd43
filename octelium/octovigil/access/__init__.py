"""Who may do what: decisions on requests that are not known yet.

A pair of User and Service is allowed, refused, or depends on what remains to be known: conditions
are evaluated with three values, and what they leave open is combined into one formula that says
which requests are let in. `listing.list_access` answers for one Cluster, `preview.preview` for the
difference between two. Everything works on replicas that nobody changes meanwhile, in whatever
thread, and keeps nothing.
"""
