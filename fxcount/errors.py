"""What fxcount raises. The model's own errors are never wrapped: they pass through with the place added as a note."""


class FxcountError(Exception):
    """Base of every error that fxcount raises itself."""


class ConventionError(FxcountError, ValueError):
    """A convention's name, field or weight is not one that exists."""


class InputError(FxcountError, TypeError):
    """The example input or another argument of a call is not of a kind that can be used."""


class TracingError(FxcountError):
    """The model cannot be traced in the way that was asked for."""


NO_VALUES = (
    "needs the values of tensors, and here they have only shapes: count the model with its weights and its input on a "
    "device that holds data, and it is executed"
)


class DataNeededError(TracingError):
    """The model asks for values of tensors that have only shapes, such as a parameter on the meta device."""


RANKS_DIFFER = "what one rank computes is not what another does, and is not counted"

ROUTED = "data-dependent shards"
"""How many rows each rank gets is a matter of values, as where ranks have experts of their own."""

NESTED = "nested tensors are not counted, for their rows have sizes of their own: count the model on a padded tensor"


class FormulaError(FxcountError):
    """A formula is registered twice, for a wrong kind of target, or does not fit its operator."""


class ModelError(Exception):
    """The model that the command line names cannot be built or counted; the message is its own and says where."""


class UncountedError(FxcountError):
    """With ``strict=True``: the model reached operators that have no formula."""


class SizeError(TracingError):
    """A size that was to be a symbol is settled by the model, or a count holds for other sizes."""
