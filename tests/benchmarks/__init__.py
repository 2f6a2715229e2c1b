"""How long a count takes, beside other tools and beside running the model once without data.

``python -m tests.benchmarks`` measures and writes ``docs/benchmarks.md``; it needs the extra ``bench``.
"""
