import pytest

from fxcount import Cost


def test_addition_and_scaling() -> None:
    assert Cost(macs=2, add=3) + Cost(add=4, special=1) == Cost(macs=2, add=7, special=1)
    assert Cost(mul=2, cmp=5) * 3 == 3 * Cost(mul=2, cmp=5) == Cost(mul=6, cmp=15)
    assert Cost(macs=10**30) * 10**30 == Cost(macs=10**60)
    with pytest.raises(TypeError):
        Cost() * 0.5
