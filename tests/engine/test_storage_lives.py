"""The memory of tensors, from the operator that makes it to its end."""

import torch

from fxcount.engine.storage_lives import StorageLives


def followed(run: object) -> StorageLives:
    lives = StorageLives(lambda: "here")
    with lives:
        run()  # type: ignore[operator]
    return lives


def spans(lives: StorageLives) -> list[tuple[int, int, int | None]]:
    return [(life.size, life.made, life.freed) for life in lives.lives]


def test_a_view_is_the_memory_of_its_tensor() -> None:
    lives = followed(lambda: (torch.ones(4, 4)[1:].t() + 1).sum())
    assert [run.operator for run in lives.runs] == ["aten.ones", "aten.slice", "aten.t", "aten.add", "aten.sum"]
    # What C++ and Python call has let go of its arguments when the next operator begins.
    assert spans(lives) == [(64, 0, 4), (48, 3, 5), (4, 4, 5)]


def test_what_grows_is_another_piece() -> None:
    def run() -> None:
        x = torch.ones(2)
        x.resize_(8)
        x.resize_(4)

    assert spans(followed(run)) == [(8, 0, 1), (32, 1, 3)]


def test_what_autograd_keeps_is_there_as_long_as_that() -> None:
    def run() -> None:
        x = torch.ones(4, requires_grad=True)
        y = x.exp().sum()
        y.backward()

    lives = followed(run)
    exp = next(life for life in lives.lives if lives.runs[life.made].operator == "aten.exp")
    after = [each.operator for each in lives.runs[: exp.freed]]
    assert "aten.mul" in after


def test_a_sparse_tensor_is_its_places_and_its_values() -> None:
    lives = followed(lambda: torch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (3,)) * 2)
    assert {(life.dtype, life.size) for life in lives.lives} >= {(torch.int64, 16), (torch.float32, 8)}


def test_what_is_filled_or_has_values_added_tells_where_it_comes_from() -> None:
    cache, more, other = torch.ones(1, 4), torch.ones(1, 1), torch.ones(1, 4)
    whole = torch.ones(1, 4)
    lives = StorageLives(lambda: "")
    for name, tensor in (("cache", cache), ("other", other), ("whole", whole)):
        lives.was_there(tensor, 16, "inputs", name)
    with lives:
        grown = torch.cat([cache, more], 1)
        longer = torch.cat([grown, more], 1)
        other[:, 1:2] = more
        whole.copy_(other)
    assert lives.find(longer).grown_from.name == lives.find(grown).grown_from.name == "cache"
    assert lives.find(other).grown_from.name == "other"
    assert lives.find(cache).grown_from is None
    assert lives.find(whole).grown_from is None
