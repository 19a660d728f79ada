"""CKA and attention maps: their invariances, their closed forms, and what has no value."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group
from torch import Tensor

from analysis.transfer_features import attention_maps, attention_similarity, centred_gram, linear_cka


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cka(first: Tensor, second: Tensor) -> float | None:
    return linear_cka(centred_gram(first), centred_gram(second))


def test_cka_is_the_feature_form_of_the_paper() -> None:
    """Kornblith et al. 2019, eq. 5 with centred columns, by NumPy's own norms."""
    first, second = normal(50, 3, 4, 4), normal(50, 7, seed=1)
    x, y = (each.flatten(1).numpy() for each in (first, second))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert cka(first, second) == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 1_000), st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
def test_cka_is_one_under_rotation_scaling_and_shift(seed: int, scale: float, shift: float) -> None:
    features = normal(20, 6, seed=seed)
    rotation = torch.from_numpy(ortho_group.rvs(6, random_state=seed))
    assert cka(features, scale * features @ rotation + shift) == pytest.approx(1.0, abs=1e-9)


def test_cka_is_not_blind_to_stretching_one_direction() -> None:
    """Linear CKA is invariant to orthogonal maps and isotropic scaling alone, as the paper's section 2 wants."""
    features = normal(200, 6)
    stretched = features * torch.tensor([30.0, 1, 1, 1, 1, 1], dtype=torch.float64)
    found = cka(features, stretched)
    assert found is not None
    assert found < 0.6


def test_cka_of_independent_noise_is_small() -> None:
    """In expectation about sqrt(p q) / n for p and q independent features of n images."""
    found = cka(normal(4_000, 10), normal(4_000, 10, seed=1))
    assert found is not None
    assert found < 3 * 10 / 4_000


def test_large_float32_matrices_lose_no_digits() -> None:
    """`torch.norm` of this one is 0.35 % too small."""
    large_NN = torch.full((2_500, 2_500), 1.1)
    assert linear_cka(large_NN, large_NN) == pytest.approx(1.0, abs=1e-5)
    features = (normal(500, 64) + 5.0).relu()
    other = (features @ normal(64, 32, seed=1)).relu()
    single = linear_cka(centred_gram(features.float()), centred_gram(other.float()))
    assert single == pytest.approx(cka(features, other), abs=1e-5)


def test_layer_that_says_the_same_of_all_images_has_no_cka() -> None:
    assert cka(torch.ones(5, 3, dtype=torch.float64), normal(5, 3)) is None


def test_attention_map_is_the_channels_mean_of_squares() -> None:
    features_NCHW = torch.tensor([[[[1.0, 2.0]], [[3.0, -4.0]]]])
    assert attention_maps(features_NCHW).tolist() == [[[5.0, 10.0]]]


def test_attention_similarity_is_the_mean_cosine() -> None:
    """(1, 0) and (1, 1) make an angle of 45 degrees, (0, 2) and (0, 5) none."""
    first_NHW, second_NHW = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]]), torch.tensor([[[1.0, 1.0]], [[0.0, 5.0]]])
    assert attention_similarity(first_NHW, second_NHW) == pytest.approx((0.5**0.5 + 1.0) / 2, rel=1e-6)


def test_larger_map_is_averaged_down_to_the_smaller() -> None:
    large_NHW = torch.tensor([[[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 8.0]]])  # blocks of 2 x 2: means 4 and 2
    small_NHW = torch.tensor([[[2.0, 1.0]]])
    assert attention_similarity(large_NHW, small_NHW) == pytest.approx(1.0, rel=1e-6)
    assert attention_similarity(small_NHW, large_NHW) == pytest.approx(1.0, rel=1e-6)


def test_images_that_a_layer_does_not_react_to_are_left_out() -> None:
    maps_NHW = torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]])
    assert attention_similarity(maps_NHW, torch.tensor([[[1.0, 2.0]], [[3.0, 1.0]]])) == pytest.approx(1.0, rel=1e-6)
    assert attention_similarity(torch.zeros(2, 1, 2), torch.ones(2, 1, 2)) is None
