"""What other tools print, beside their rules; ``python -m tests.other_tools`` writes ``docs/other-tools.md``."""
