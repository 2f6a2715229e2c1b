"""The page of all operators.

``python -m tests.operators`` writes ``docs/operators.md`` from the formulas.
"""
