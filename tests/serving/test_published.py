"""What is published of large language models is counted of them."""

import pytest

from tests.serving.published import FIGURES, Counted, Published, is_exact


@pytest.mark.parametrize("published", FIGURES, ids=lambda each: f"{each.model} {each.quantity}")
def test_figures(published: Published) -> None:
    """Where one is not exact, the page says why."""
    number = Counted(published.model).of(published.quantity)
    assert is_exact(published.figure, number) is not bool(published.note)


def test_what_is_cut_or_counted_otherwise() -> None:
    """The differences that the notes explain, in numbers."""
    llama, deepseek = Counted("Llama-3.1-405B"), Counted("DeepSeek-V3")
    assert int(llama.parameters() / 1e9) == 405
    assert int(deepseek.active() / 1e9) == 37
    assert llama.active() == llama.parameters() == 405_853_388_800
    weights = llama.of("FLOPs of training for each token, no attention")
    scores = llama.of("FLOPs of training for each token, attention half") - weights
    assert round((weights + scores / 2) / 1e9) == 2448
    assert round(6 * llama.parameters() / 1e9) == 2435
    assert round((6 * llama.parameters() - weights) / 6e9, 1) == round(128256 * 16384 / 1e9, 1)


def test_digits() -> None:
    assert is_exact("46.7 B", 46_702_792_704)
    assert not is_exact("46.8 B", 46_702_792_704)
    assert is_exact("70.272 K", 70_272)
