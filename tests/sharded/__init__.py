"""A language model of 405 billion parameters on one, on 8 and on 128 ranks: writes ``docs/sharded.md``."""
