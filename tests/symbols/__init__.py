"""Costs in symbolic sizes, beside counts in numbers; ``python -m tests.symbols`` writes ``docs/sizes.md``."""
