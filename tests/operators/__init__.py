"""The pages of all operators, one for each family and an index.

``python -m tests.operators`` writes ``docs/operators.md`` and ``docs/operators/`` from the formulas.
"""
