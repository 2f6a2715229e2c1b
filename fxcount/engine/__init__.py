"""Operators seen in the dispatcher, on data or on shapes alone."""
