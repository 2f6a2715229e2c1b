"""The calls with which torch tests its own operators and modules, counted.

``python -m tests.databases`` prints how many are, and what is not.
"""
