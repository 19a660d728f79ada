"""How alike the layers of two networks are: linear CKA of their features, and where their attention goes."""

# Shapes: N images, C channels, H height, W width; the rest of a feature's axes are flattened.

import torch
import torch.nn.functional as F
from torch import Tensor


def centred_gram(features: Tensor) -> Tensor:
    """Inner products of the images' features, each less its mean over the images: shape (N, N), in their own dtype.

    Args:
        features: shape (N, ...); all axes but the first are flattened.
    """
    features_ND = features.flatten(1)
    features_ND = features_ND - features_ND.mean(dim=0)
    gram_NN: Tensor = features_ND @ features_ND.T
    return gram_NN


def linear_cka(gram_NN: Tensor, other_NN: Tensor) -> float | None:
    """Linear centred kernel alignment (Kornblith et al., ICML 2019, section 3) of two layers, from their Gram matrices.

    With X and Y the centred features, ||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F): the same number as <K, L>_F /
    (||K||_F ||L||_F) with K = X X^T and L = Y Y^T, which costs N^2 a pair of layers however many features they have.
    1 for features that an orthogonal map and a scaling take into each other.

    Returns:
        Between 0 and 1; None where a layer says the same of all images.
    """
    scale = (_inner(gram_NN, gram_NN) * _inner(other_NN, other_NN)) ** 0.5
    return _inner(gram_NN, other_NN) / scale if scale > 0.0 else None


def attention_maps(features_NCHW: Tensor) -> Tensor:
    """Where a layer looks (Zagoruyko & Komodakis, ICLR 2017, section 3.1): the channels' mean of squares, (N, H, W)."""
    return features_NCHW.square().mean(dim=1)


def attention_similarity(maps_NHW: Tensor, other_NHW: Tensor) -> float | None:
    """Cosine of two layers' attention maps, image by image, and its mean over the images.

    The maps are averaged down to the smaller height and the smaller width of the two. Images that one of the layers
    does not react to at all are left out.

    Returns:
        Between 0 and 1; None where no image is left.
    """
    size = (min(maps_NHW.shape[1], other_NHW.shape[1]), min(maps_NHW.shape[2], other_NHW.shape[2]))
    pooled = [F.adaptive_avg_pool2d(each, size).flatten(1) for each in (maps_NHW, other_NHW)]
    norms = [each.norm(dim=1, keepdim=True) for each in pooled]
    known_N = (torch.minimum(*norms) > 0.0).squeeze(1)
    if not known_N.any():
        return None
    # Each by its own norm first: squares of squares would leave the range of float32.
    first, second = (each[known_N] / norm[known_N] for each, norm in zip(pooled, norms, strict=True))
    return float((first * second).sum(dim=1).double().mean())


def _inner(first: Tensor, second: Tensor) -> float:
    """Frobenius inner product: blocks of rows in their own dtype, the sum of these in float64.

    `torch.norm` adds all squares of a float32 matrix in float32: of 25 million of them the third digit is wrong.
    """
    rows = zip(torch.split(first, 256), torch.split(second, 256), strict=True)
    return sum(float(torch.dot(a.flatten(), b.flatten())) for a, b in rows)
