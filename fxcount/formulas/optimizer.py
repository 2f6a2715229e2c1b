"""Fused optimizer steps and gradient scaling."""
