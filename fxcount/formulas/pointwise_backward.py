"""Backward operators of pointwise operators, normalisation, reductions and windows."""
