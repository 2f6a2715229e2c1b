"""``python -m tests.operators``: writes the page of all operators where it belongs."""

from tests.operators.page import PAGE, operators_page

if __name__ == "__main__":
    PAGE.write_text(operators_page())
