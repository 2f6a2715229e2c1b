"""The page of a model on several ranks."""

from tests.sharded.__main__ import counted, page


def found(macs: int, **sent: int) -> dict[str, object]:
    held = {"parameters": 1024, "gathered": 512}
    return {
        "params": 10,
        "macs": macs,
        "backward": 2 * macs,
        "sent": sent,
        "held": held,
        "seconds": 1.25,
        "grown": 2**20,
    }


def test_a_row_for_each_mesh_and_what_eight_ranks_do() -> None:
    text = page({"": found(80), "tp=8": found(10, tp=2048), "dp=16,tp=8": found(11, tp=2048, dp=1024)}, "a machine")
    (row,) = [line for line in text.splitlines() if line.startswith("| tp=8")]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        *("tp=8", "10", "10", "20", "2.0 KiB", "0 B", "1.5 KiB", "1.2", "1.0 MiB")
    ]
    assert "8 ranks of tp=8: 80 MACs forward and 160 backward, those of one rank alone." in text
    assert "8 ranks of dp=16,tp=8: 88 MACs forward and 176 backward, not those of one rank alone." in text
    assert "- At the peak of tp=8: parameters 1.0 KiB, gathered 512 B." in text


def test_a_count_on_one_rank_of_many() -> None:
    one = counted("dp=16,tp=8")
    assert one["params"] == (405_853_388_800 - 253 * 16_384) // 128 + 253 * 16_384 // 16
    assert one["held"]["parameters"] == 2 * one["params"]
    assert one["grown"] < 1e9
