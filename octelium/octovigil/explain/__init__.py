"""Explanations of decisions: every step, Policy and rule, and what would turn the decision round.

`explanation.explain` answers an inquiry. It thinks in a replica of its own, in which what is
supposed stands beside what exists (`supposition`), and tells the walk of a decision step by step
(`trace`). What it tells is held against a decision of the decision point itself on the same world:
a story that does not agree is an error and is never shown. `change` looks for a sufficient change
for the opposite outcome, and names none that it did not try.
"""
