"""``python -m fxcount.formulas`` prints the page of all operators, ``docs/operators.md``."""

from fxcount.formulas.page import operators_page

print(operators_page(), end="")
