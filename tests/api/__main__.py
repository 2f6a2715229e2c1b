"""``python -m tests.api``: writes the page of the public names where it belongs."""

from tests.api.page import PAGE, api_page

if __name__ == "__main__":
    PAGE.write_text(api_page())
