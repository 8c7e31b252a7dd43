"""core.v1: the resources of the Cluster, verb by verb.

The verbs are written once (`verbs`), each kind says in one file of `kinds` how it differs.
"""
