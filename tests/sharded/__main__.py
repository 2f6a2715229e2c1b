"""Counts a step of training of Llama-3.1-405B on several meshes, and writes ``docs/sharded.md``.

python -m tests.sharded
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tabulate import tabulate

from fxcount.views.units import size_text
from tests.benchmarks.report import machine

PAGE = Path(__file__).parents[2] / "docs" / "sharded.md"

TOKENS = 8192

MESHES = ("", "tp=8", "dp=16,tp=8")

HEAD = f"""# A model on several ranks

Written by `python -m tests.sharded`: what one rank does in a step of training of Llama-3.1-405B, forward and backward,
on {TOKENS:,} tokens for each rank of `dp`, in bfloat16. Over `tp` transformers splits the model after its
own plan, over `dp` `fully_shard` does, as by `fxcount hf/CONFIG --mesh dp=16,tp=8`; no device is there. What a rank
holds at the peak is that of a step with `AdamW(foreach=False)`, by `count_memory`. Each row is a process of its own:
how long both counts took in it, and by how much its memory grew meanwhile.
"""

HEADER = ("mesh", "parameters", "MACs", "backward MACs", "over tp", "over dp", "held", "seconds", "memory grew by")


def counted(mesh: str) -> dict[str, Any]:
    """One split."""
    command = [sys.executable, "-m", "tests.sharded.one", mesh, str(TOKENS)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert not found["uncounted"], found["uncounted"]
    return found


def page(rows: dict[str, dict[str, Any]], where: str) -> str:
    """The whole page."""
    cells = [
        (
            mesh or "one rank",
            f"{found['params']:,}",
            f"{found['macs']:,}",
            f"{found['backward']:,}",
            *(size_text(found["sent"].get(axis, 0)) for axis in ("tp", "dp")),
            size_text(sum(found["held"].values())),
            f"{found['seconds']:.1f}",
            size_text(found["grown"]),
        )
        for mesh, found in rows.items()
    ]
    lines = []
    for mesh, found in rows.items():
        times = [8 * found["macs"], 8 * found["backward"]]
        equal = times == [rows[""]["macs"], rows[""]["backward"]]
        of_one = "those of one rank alone" if equal else "not those of one rank alone"
        if mesh:
            lines.append(f"- 8 ranks of {mesh}: {times[0]:,} MACs forward and {times[1]:,} backward, {of_one}.")
    for mesh, found in rows.items():
        kinds = ", ".join(f"{kind} {size_text(size)}" for kind, size in found["held"].items())
        lines.append(f"- At the peak of {mesh or 'one rank'}: {kinds}.")
    table = tabulate(cells, HEADER, "github", disable_numparse=True)
    return (
        "\n".join((HEAD, f"The machine: {where}. What a rank sends stands under the axis.\n", table, "", *lines)) + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page({mesh: counted(mesh) for mesh in MESHES}, machine()))
