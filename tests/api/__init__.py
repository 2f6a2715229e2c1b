"""The page of the public names.

``python -m tests.api`` writes ``docs/api.md`` from the signatures and docstrings of the package.
"""
