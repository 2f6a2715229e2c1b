"""The zoo: every model of timm and torchvision, and architectures of transformers, counted and checked.

``python -m tests.zoo`` runs all of it and writes ``docs/coverage.md``.
"""
