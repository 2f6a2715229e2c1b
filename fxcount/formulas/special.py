"""Orthogonal polynomials and other functions that are computed by recurrence."""
