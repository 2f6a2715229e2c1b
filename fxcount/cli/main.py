"""The command ``fxcount``: answers at once what needs no torch, and loads it for everything else."""

import os
import sys
import warnings
from collections.abc import Sequence

from fxcount import __version__
from fxcount.cli.help import HELP
from fxcount.errors import FxcountError, ModelError


def main(argv: Sequence[str] | None = None) -> int:
    """Counts the model that the arguments name and shows its costs.

    Returns the exit status: 0 for success, 1 where a budget is exceeded, 2 for bad usage, 3 where the model cannot be
    counted.
    """
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if not {"-h", "--help"}.isdisjoint(arguments):
            print(HELP, end="", flush=True)
            return 0
        if "--version" in arguments:
            print(f"fxcount {__version__}", flush=True)
            return 0
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Failed to initialize NumPy")  # which torch says, and no count needs
            from fxcount.cli.command import run
        return run(arguments)
    except ModelError as error:
        print(f"fxcount: {error}", file=sys.stderr)
        return 3
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
        return 0
    except (FxcountError, OSError) as error:
        print(f"fxcount: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
