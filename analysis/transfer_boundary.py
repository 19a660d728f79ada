"""How far an image is from a network's decision boundary, and which way: from its gradients."""

# Shapes: N images, C channels, H height, W width; pairs_N2 are (likeliest class, runner-up).

import torch
from torch import Tensor, nn

MAX_STEPS = 20
TOLERANCE = 1e-3
_BATCH_SIZE = 250


def likeliest_pairs(logits_NC: Tensor) -> Tensor:
    """The likeliest class of each image and the runner-up: int64 (N, 2)."""
    return logits_NC.topk(2, dim=1).indices


def margins_and_gradients(network: nn.Module, images_NCHW: Tensor, pairs_N2: Tensor) -> tuple[Tensor, Tensor]:
    """By how much a network prefers the first class of a pair over the second, and the gradient of that by the image.

    Args:
        network: in evaluation mode, where no image depends on another one.
        images_NCHW: normalised; any float dtype that the network takes.
        pairs_N2: two classes for each image, int64.

    Returns:
        Shapes (N,) and (N, C, H, W), in the images' dtype.
    """
    margins, gradients = [], []
    for images, pairs in zip(torch.split(images_NCHW, _BATCH_SIZE), torch.split(pairs_N2, _BATCH_SIZE), strict=True):
        watched = images.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            chosen_N2 = network(watched).gather(1, pairs)
            margins_N = chosen_N2[:, 0] - chosen_N2[:, 1]
            gradients.append(torch.autograd.grad(margins_N.sum(), watched)[0])
        margins.append(margins_N.detach())
    return torch.cat(margins), torch.cat(gradients)


def boundary_distances(network: nn.Module, images_NCHW: Tensor, pairs_N2: Tensor) -> Tensor:
    """L2 distance of each image to where the network holds both classes of its pair for equally likely.

    DeepFool (Moosavi-Dezfooli et al., CVPR 2016, algorithm 1) towards one class: step by step to where the linear
    approximation puts the boundary, until the margin is 0.001 of what it was at the image; at most 20 steps. Of a
    linear classifier it is the distance itself, margin / ||gradient||; of others an upper bound of it, for a nearer
    point may be missed. Nothing keeps the way within the range of pixels.

    Returns:
        Shape (N,), in the units of the images; nan where no boundary was found.
    """
    moved_NCHW = images_NCHW.detach().clone()
    distances_N = torch.full((len(images_NCHW),), torch.nan, dtype=images_NCHW.dtype)
    left_N = torch.arange(len(images_NCHW))
    wanted_N = torch.zeros_like(distances_N)
    for step in range(MAX_STEPS + 1):
        margins_N, gradients_NCHW = margins_and_gradients(network, moved_NCHW[left_N], pairs_N2[left_N])
        if step == 0:
            wanted_N = TOLERANCE * margins_N.abs()
        is_there_N = margins_N.abs() <= wanted_N[left_N]
        arrived_N = left_N[is_there_N]
        distances_N[arrived_N] = (moved_NCHW[arrived_N] - images_NCHW[arrived_N]).flatten(1).norm(dim=1)
        squares_N = gradients_NCHW.flatten(1).square().sum(dim=1)
        goes_on_N = ~is_there_N & (squares_N > 0.0)
        left_N = left_N[goes_on_N]
        if not len(left_N):
            break
        steps_N = -margins_N[goes_on_N] / squares_N[goes_on_N]
        moved_NCHW[left_N] += steps_N.view(-1, 1, 1, 1) * gradients_NCHW[goes_on_N]
    return distances_N


def mean_cosine(first_NCHW: Tensor, second_NCHW: Tensor) -> float | None:
    """Mean over the images of the cosine between two directions; None where every image lacks one of them."""
    first_ND, second_ND = first_NCHW.flatten(1).double(), second_NCHW.flatten(1).double()
    scale_N = first_ND.norm(dim=1) * second_ND.norm(dim=1)
    known_N = scale_N > 0.0
    if not known_N.any():
        return None
    return float(((first_ND * second_ND).sum(dim=1)[known_N] / scale_N[known_N]).mean())
