"""Sizes that are symbols: expressions in them, and the conditions under which these hold."""
