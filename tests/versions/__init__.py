"""The tests on other versions of torch and Python.

``python -m tests.versions --torch 2.9.1`` runs them in an environment of their own and writes what they printed into
``docs/versions.md``.
"""
