"""`Modes`: how many modes of torch are at work; each sees every call, and may change what it returns."""

from fxcount._torch import dispatch_mode_count, function_mode_count


class Modes:
    """Those that are at work when this is made."""

    def __init__(self) -> None:
        self._of_functions = function_mode_count()
        self._of_operators = dispatch_mode_count()

    def __bool__(self) -> bool:
        return self._of_functions > 0 or self._of_operators > 0

    def have_grown(self) -> bool:
        """Whether there are more at work now."""
        return function_mode_count() > self._of_functions or dispatch_mode_count() > self._of_operators
