"""Quantised and low-precision operators."""
