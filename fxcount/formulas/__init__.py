"""One formula per operator, a file per family, and the registry that finds them."""

import importlib
import pkgutil

from fxcount.formulas.custom import find_formula, register_formula
from fxcount.formulas.registry import FORMULAS, OF_COMPLEX, REFUSED, formula_named
from fxcount.formulas.schema import operator_name

__all__ = ["FORMULAS", "OF_COMPLEX", "REFUSED", "find_formula", "formula_named", "operator_name", "register_formula"]

for _file in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_file.name)  # a family registers its formulas when it is imported
