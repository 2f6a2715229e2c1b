"""Times at best, beside measured ones on this CPU; ``python -m tests.roofline`` writes ``docs/roofline.md``."""
