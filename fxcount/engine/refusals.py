"""`refusals`: what a count cannot answer ends it, also where the model catches the error and goes another way."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

Error = TypeVar("Error", bound=BaseException)

_at_work: list[list[BaseException]] = []
"""What has been refused, of each count that is at work; the last is the innermost."""


class Refusal(BaseException):  # not an Exception: few models catch more than those
    """What is refused is no error of the model's or of its user's: there is another way to count it."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        refused(self)


def refused(error: Error) -> Error:
    """Notes an error that a model may catch although it would not be raised in a real run."""
    if _at_work:
        _at_work[-1].append(error)
    return error


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """
    Raises:
        Exception: at the end, what was first refused meanwhile, also where the model has caught it; what a model goes
            on to do then, and to raise, is not what it would do in a real run.
    """
    noted: list[BaseException] = []
    _at_work.append(noted)
    try:
        yield
    except (Exception, Refusal):
        if not noted:
            raise
    finally:
        _at_work.pop()
    if noted:
        raise noted[0]
