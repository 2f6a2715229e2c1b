"""What the page of times at best is made of."""

import torch

from fxcount import Device
from tests.roofline.measured import Measured, fastest, rank_correlation
from tests.roofline.page import page


def test_the_correlation_of_ranks() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == 1
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == 1 - 6 * 4 / (5 * 24)


def test_the_page_says_what_is_below_its_bound() -> None:
    device = Device("mine", {torch.float32: 2e11}, 1e11)
    results = [
        Measured(name, "forward", bound, bound / 2, seconds, "compute")
        for name, bound, seconds in (("one", 1.0, 2.0), ("two", 2.0, 1.5), ("three", 3.0, 6.0))
    ]
    text = page(device, "a machine", results, {"one", "two", "three"})
    assert "float32 200 · 10⁹ operations a second, 100 · 10⁹ bytes a second" in text
    assert "Below their bound: two." in text
    assert "Spearman's rank correlation over the 3 models: 0.500." in text


def test_the_higher_rates_of_two_measurements() -> None:
    one, other = (Device("mine", {torch.float32: a, torch.float64: 1e9}, b) for a, b in ((2e9, 3e9), (1e9, 4e9)))
    assert fastest(one, other) == Device("mine", {torch.float32: 2e9, torch.float64: 1e9}, 4e9)
