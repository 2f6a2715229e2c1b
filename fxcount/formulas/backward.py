"""Backward operators of contractions and attention: the gradients are contractions themselves."""
