"""Models of other packages of PyPI, beside the zoo: ``python -m tests.zoo.packages`` counts and checks them.

Nothing else needs those packages: the command makes an environment that has them.
"""
