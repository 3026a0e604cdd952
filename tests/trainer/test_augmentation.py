"""What happens to an image, against an image-at-a-time pad, crop, flip and cutout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
import torch
import train

CPU = torch.device("cpu")
IMAGES = np.random.RandomState(0).randint(0, 256, (64, 32, 32, 3)).astype(np.uint8)
IMAGES[0] = 255  # far from the mean everywhere: what is 0 was cut


def augment(choices: list[tuple[int, ...]], cutout: int, half: torch.dtype = torch.float32) -> Any:
    """Images (B, 3, 32, 32) for choices of (image, crop_y, crop_x, flip, cut_y, cut_x)."""
    images = train.Images(IMAGES, np.zeros(len(IMAGES), np.uint8), CPU, half)
    return images.augmented(train.Draws(*torch.tensor(choices).unbind(1)), cutout)


def plain(choices: list[tuple[int, ...]], cutout: int) -> Any:
    return torch.from_numpy(np.stack([reference.augment(IMAGES[n], *how, size=cutout) for n, *how in choices]))


def test_every_crop_and_flip_is_what_padding_and_slicing_give() -> None:
    choices = [(1 + (y + x) % 60, y, x, flip, 0, 0) for y in range(9) for x in range(9) for flip in (0, 1)]
    torch.testing.assert_close(augment(choices, 0), plain(choices, 0))


@pytest.mark.parametrize("size", [1, 2, 5, 8, 31])
def test_cutout_is_a_square_of_the_mean_at_every_corner_it_may_have(size: int) -> None:
    last = 32 - size
    choices = [(0, 4, 4, 0, y, x) for y in (0, last // 2, last) for x in (0, last // 2, last)]
    done = augment(choices, size)
    torch.testing.assert_close(done, plain(choices, size))
    cut = (done == 0).all(1)  # (B, 32, 32)
    assert cut.sum((1, 2)).tolist() == [size * size] * len(choices)
    for (*_, y, x), mask in zip(choices, cut, strict=True):
        assert mask[y : y + size, x : x + size].all()


def test_cutout_of_0_cuts_nothing_and_of_32_cuts_all() -> None:
    assert (augment([(0, 4, 4, 0, 32, 32)], 0) != 0).all()
    assert (augment([(0, 4, 4, 0, 0, 0)], 32) == 0).all()


@pytest.mark.parametrize("size", [0, 5, 8, 32])
def test_draws_cover_exactly_the_allowed_corners(size: int) -> None:
    hp = train.Hyperparameters(batch_size=100, data_aug_cutout_size=size)
    draws = train.draw(hp, torch.arange(20_050), torch.Generator().manual_seed(0))
    corners = set(range(32 - size + 1))
    for name, allowed in {"crop_y": set(range(9)), "flip": {0, 1}, "cut_y": corners, "cut_x": corners}.items():
        assert set(getattr(draws, name).tolist()) == allowed
    assert len(set(draws.order.tolist())) == len(draws.order) == 20_000  # each image once, the last 50 dropped


def test_draws_are_independent_of_each_other() -> None:
    hp = train.Hyperparameters(batch_size=100)
    draws = train.draw(hp, torch.arange(20_000), torch.Generator().manual_seed(0))
    correlation = np.corrcoef(np.stack([drawn.numpy() for drawn in draws]))
    assert np.abs(correlation - np.eye(6)).max() < 0.05


def test_half_precision_rounds_the_normalised_image_once() -> None:
    choices = [(7, 3, 5, 1, 10, 20)]
    torch.testing.assert_close(augment(choices, 8, torch.bfloat16), plain(choices, 8).to(torch.bfloat16))


def test_batches_are_channels_last_and_carry_their_labels() -> None:
    labels = np.arange(64, dtype=np.uint8) % 10
    hp = train.Hyperparameters(batch_size=16)
    images = train.Images(IMAGES, labels, CPU, torch.float32)
    draws = train.draw(hp, torch.arange(64), torch.Generator().manual_seed(0))
    batches = list(images.batches(draws, hp))
    assert [tuple(x.shape) for x, _ in batches] == [(16, 3, 32, 32)] * 4
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in batches)
    assert torch.cat([y for _, y in batches]).tolist() == [int(labels[n]) for n in draws.order]
