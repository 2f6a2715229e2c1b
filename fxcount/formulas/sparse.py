"""Sparse and nested tensors: work on stored values."""
