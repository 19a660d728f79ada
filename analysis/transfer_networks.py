"""Two networks held against each other on the same images: each is run once, then every measure is taken."""

# Shapes: N images, C channels or classes, H height, W width, M the images that CKA is computed on.

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.transfer_boundary import boundary_distances, likeliest_pairs, margins_and_gradients, mean_cosine
from analysis.transfer_features import attention_maps, attention_similarity, centred_gram, linear_cka
from analysis.transfer_measures import (
    agreement,
    kl_divergence,
    negative_log_likelihood,
    nontarget_rank_correlation,
)
from analysis.transfer_records import BoundaryTransfer, ClassTransfer, LayerMatrix, Share
from trainables.calibration import expected_calibration_error
from trainables.data.image_arrays import TrainingData
from trainables.data.views import DeviceImages
from trainables.models.features import FeatureTap, feature_names, feature_shapes
from trainables.randomness import generator

# Of the images, in the same random order for all networks. CKA of 2,500 MNIST images is within 0.003 of that of 5,000
# where layers of one name are compared, and within 0.007 elsewhere.
NUM_LAYER_IMAGES = 2_500
NUM_BOUNDARY_IMAGES = 1_000
_BATCH_SIZE = 250


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The images that networks are held against each other on, and which of them the costly measures take."""

    images: DeviceImages
    layer_indices_M: Tensor
    boundary_indices: Tensor
    num_classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        _, channels, height, width = self.images.images_NCHW.shape
        return channels, height, width

    @property
    def labels_N(self) -> NDArray[np.int64]:
        """The true classes."""
        labels: NDArray[np.int64] = self.images.labels_N.numpy()
        return labels

    @property
    def boundary_labels(self) -> NDArray[np.int64]:
        """The true classes of the images whose boundary is looked for."""
        labels: NDArray[np.int64] = self.images.labels_N[self.boundary_indices].numpy()
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What one network makes of the sample, as far as the measures need it."""

    logits_NC: NDArray[np.float32]
    grams: dict[str, Tensor]
    maps: dict[str, Tensor]
    distances: NDArray[np.float64]  # nan where no boundary was found
    directions_NCHW: Tensor  # to the teacher's boundary


def sample_of(data: TrainingData) -> Sample:
    """All validation images, un-augmented; the parts are random, and the same in every call."""
    images = DeviceImages(data.validation, mean_C=data.mean_C, std_C=data.std_C, device=torch.device("cpu"))
    order_N = torch.randperm(len(images), generator=generator(0, "transfer"))
    layer, boundary = order_N[:NUM_LAYER_IMAGES], order_N[:NUM_BOUNDARY_IMAGES]
    return Sample(images, layer.sort().values, boundary.sort().values, data.num_classes)


def observe(network: nn.Module, sample: Sample, teacher_pairs_N2: Tensor | None = None) -> Observed:
    """Run a network over the sample, on the CPU, in evaluation mode and float32.

    Args:
        network: any that takes normalised images to logits; its own child modules are the layers.
        sample: the images.
        teacher_pairs_N2: the teacher's likeliest class and runner-up of each sampled boundary image; None for the
            teacher itself.

    Raises:
        ValueError: a logit is not finite.
    """
    network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    logits, layers, maps = [], defaultdict(list), defaultdict(list)
    is_layer_image_N = torch.zeros(len(sample.images), dtype=torch.bool)
    is_layer_image_N[sample.layer_indices_M] = True
    shapes = feature_shapes(network, sample.input_shape)
    names = [name for name in feature_names(network) if shapes.get(name)]
    with torch.inference_mode(), FeatureTap(network, names) as tap:
        for indices_N in torch.split(torch.arange(len(sample.images)), _BATCH_SIZE):
            logits.append(network(sample.images.normalized(indices_N)).float())
            for name, features in tap.take().items():
                layers[name].append(features[is_layer_image_N[indices_N]])
                if features.ndim == 4 and features.shape[2] * features.shape[3] > 1:
                    maps[name].append(attention_maps(features.float()))
        grams = {name: centred_gram(torch.cat(layers.pop(name)).float()) for name in names}
    logits_NC = torch.cat(logits)
    if not torch.isfinite(logits_NC).all():
        raise ValueError("an output is not finite")
    images_NCHW = sample.images.normalized(sample.boundary_indices)
    own_pairs_N2 = likeliest_pairs(logits_NC[sample.boundary_indices])
    pairs_N2 = own_pairs_N2 if teacher_pairs_N2 is None else teacher_pairs_N2
    return Observed(
        logits_NC=logits_NC.numpy(),
        grams=grams,
        maps={name: torch.cat(parts) for name, parts in maps.items()},
        distances=boundary_distances(network, images_NCHW, own_pairs_N2).double().numpy(),
        directions_NCHW=margins_and_gradients(network, images_NCHW, pairs_N2)[1],
    )


def teacher_pairs(teacher: Observed, sample: Sample) -> Tensor:
    """The teacher's likeliest class and runner-up of each sampled boundary image."""
    return likeliest_pairs(torch.from_numpy(teacher.logits_NC)[sample.boundary_indices])


def teacher_measures(teacher: Observed, sample: Sample) -> dict[str, Any]:
    """The fields of a `TeacherTransfer` that come of its outputs."""
    num_mistakes = int((teacher.logits_NC.argmax(axis=1) != sample.labels_N).sum())
    return _quality(teacher, sample, None, None) | {"num_mistakes": num_mistakes}


def student_measures(student: Observed, teacher: Observed, sample: Sample) -> dict[str, Any]:
    """The fields of a `StudentTransfer` that come of both networks' outputs."""
    labels_N = sample.labels_N
    same_N = agreement(student.logits_NC, teacher.logits_NC)
    is_mistake_N = teacher.logits_NC.argmax(axis=1) != labels_N
    return _quality(student, sample, same_N, mean_cosine(student.directions_NCHW, teacher.directions_NCHW)) | {
        "agreement": Share(num=int(same_N.sum()), total=len(same_N)),
        "agreement_on_mistakes": Share(num=int(same_N[is_mistake_N].sum()), total=int(is_mistake_N.sum())),
        "kl_t1_nats": kl_divergence(student.logits_NC, teacher.logits_NC, temperature=1.0),
        "kl_t4_nats": kl_divergence(student.logits_NC, teacher.logits_NC, temperature=4.0),
        "rank_correlation": nontarget_rank_correlation(student.logits_NC, teacher.logits_NC, labels_N),
        "cka": _layer_matrix(student, teacher, lambda a, b: linear_cka(student.grams[a], teacher.grams[b])),
        "attention": _layer_matrix(student, teacher, lambda a, b: _map_similarity(student, teacher, a, b)),
    }


def _quality(
    network: Observed, sample: Sample, same_N: NDArray[np.bool_] | None, cosine: float | None
) -> dict[str, Any]:
    """The fields of a `NetworkQuality`."""
    labels_N, known = sample.labels_N, ~np.isnan(network.distances)
    boundary = BoundaryTransfer(
        num_reached=int(known.sum()), mean_distance=_mean(network.distances[known]), cosine=cosine
    )
    return {
        "accuracy": float((network.logits_NC.argmax(axis=1) == labels_N).mean()),
        "nll_nats": negative_log_likelihood(network.logits_NC, labels_N),
        "ece": expected_calibration_error(network.logits_NC, labels_N),
        "boundary": boundary,
        "classes": tuple(_classes(network, sample, same_N)),
    }


def _classes(network: Observed, sample: Sample, same_N: NDArray[np.bool_] | None) -> Iterator[ClassTransfer]:
    labels_N = sample.labels_N
    right_N, known = network.logits_NC.argmax(axis=1) == labels_N, ~np.isnan(network.distances)
    for label in np.unique(labels_N):
        members_N = labels_N == label
        yield ClassTransfer(
            label=int(label),
            num_images=int(members_N.sum()),
            accuracy=float(right_N[members_N].mean()),
            agreement=None if same_N is None else float(same_N[members_N].mean()),
            boundary_distance=_mean(network.distances[known & (sample.boundary_labels == label)]),
        )


def _layer_matrix(student: Observed, teacher: Observed, similarity: Callable[[str, str], float | None]) -> LayerMatrix:
    rows, columns = tuple(student.grams), tuple(teacher.grams)
    values = tuple(tuple(similarity(row, column) for column in columns) for row in rows)
    return LayerMatrix(student_layers=rows, teacher_layers=columns, values=values)


def _map_similarity(student: Observed, teacher: Observed, mine: str, its: str) -> float | None:
    if mine not in student.maps or its not in teacher.maps:
        return None
    return attention_similarity(student.maps[mine], teacher.maps[its])


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
