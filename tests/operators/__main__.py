"""``python -m tests.operators``: writes the pages of all operators where they belong."""

from tests.operators.pages import DOCS, write

if __name__ == "__main__":
    write(DOCS)
