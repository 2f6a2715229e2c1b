"""`python -m tests.memory`: what `count_memory` says beside what real runs hold."""
