"""The rule of ``torch.utils.flop_counter.FlopCounterMode`` (torch 2.14): operators, taken apart into those it knows."""

from collections.abc import Iterator

from fxcount.analyses.other_tools.calls import Calls, Reached, Seen
from fxcount.errors import InputError

UNIT = "FLOPs, two for each MAC"
RULE = (
    "It takes operators apart into matrix products, convolutions and fused attention and counts two operations for "
    "each MAC of these; biases, norms and all else are 0. This is its number on the meta device."
)

PRODUCTS = frozenset({"matmul", "linalg_matmul", "inner"})
"""What is a dot product, or a matrix times a vector, where an argument has one axis."""
NETWORKS = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
ATTENTION = "scaled_dot_product_attention"
COUNTED = frozenset(
    {
        *("linear", "mm", "addmm", "bmm", "baddbmm", "tensordot", "convolution", "_convolution", ATTENTION),
        *(f"conv{transposed}{axes}d" for transposed in ("", "_transpose") for axes in (1, 2, 3)),
        *(name + end for name in NETWORKS for end in ("", "_cell")),
    }
)
UNSEEN = frozenset(
    {"dot", "vdot", "mv", "addmv", "addbmm", "addr", "bilinear", "_trilinear", "cdist", "linalg_vecdot", "_grouped_mm"}
)
"""What has MACs here and is none of what it knows."""

TWO = "2 a MAC"


def seen(calls: Calls) -> Iterator[Seen]:
    """What it counts, by operator.

    Raises:
        InputError: what it does with an operator is not stated.
    """
    for each in calls.reached():
        macs = each.operator.cost.macs
        if macs and _is_counted(each):
            yield Seen(each.place, TWO, 2 * macs)


def _is_counted(each: Reached) -> bool:
    if each.name in PRODUCTS:
        first, second = (len(shape) for shape in each.given[:2])
        return first > 1 or second > 1 if each.name == "inner" else second > 1
    if each.name in UNSEEN or each.operator.name.endswith("_"):  # which writes to its argument
        return False
    if each.name in COUNTED:
        return True
    raise InputError(f"what FlopCounterMode makes of {each.operator.name} is not stated")


def notes(calls: Calls) -> Iterator[str]:
    """What it does not see where other kernels run."""
    macs = {"attention": 0, "networks": 0}
    for each in calls.reached():
        kind = "attention" if each.name == ATTENTION else "networks" if each.name in NETWORKS else ""
        if kind:
            macs[kind] += each.operator.cost.macs
    if macs["attention"]:
        yield f"Fused attention is not seen on a CPU: it then prints {2 * macs['attention']:,} less."
    if macs["networks"]:
        yield (
            "A recurrent network that runs as one kernel, of cuDNN on a GPU or of oneDNN on a CPU without gradients, "
            f"is not seen: it then prints up to {2 * macs['networks']:,} less."
        )
