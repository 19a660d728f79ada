"""Each method's value from its paper's equation, in float64 NumPy: nothing of it is shared with the methods."""

# Shapes: N batch, C classes, D features or pixels, K negatives.

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from tests.trainables.losses.batches import LABELS_M, Batch
from trainables.losses.distillation_loss import DistillationLoss

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Given:
    """A batch and a method's own tensors as float64, and the seed of its draws."""

    student_NC: Array
    teacher_NC: Array
    labels_N: NDArray[np.int64]
    indices_N: NDArray[np.int64]
    student: Mapping[str, Array]
    teacher: Mapping[str, Array]
    images_ND: Array
    student_weight: Array
    teacher_weight: Array
    own: Mapping[str, Array]
    progress: float
    seed: int

    @classmethod
    def of(cls, batch: Batch, loss: DistillationLoss, seed: int) -> "Given":
        step = batch.step
        assert step.teacher is not None
        assert step.indices_N is not None
        assert step.images_NCHW is not None
        return cls(
            float64(step.student.logits_NC),
            float64(step.teacher.logits_NC),
            step.labels_N.numpy(),
            step.indices_N.numpy(),
            {name: float64(each) for name, each in step.student.features.items()},
            {name: float64(each) for name, each in step.teacher.features.items()},
            float64(step.images_NCHW.flatten(1)),
            float64(batch.student.weight),
            float64(batch.teacher.weight),
            {name: float64(each) for name, each in loss.state_dict().items()},
            step.progress,
            seed,
        )


def float64(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy().copy()


def cross_entropy(logits_NC: Array, labels_N: NDArray[np.int64]) -> float:
    return float(-log_softmax(logits_NC, axis=1)[np.arange(len(labels_N)), labels_N].mean())


def kl(p_NC: Array, q_NC: Array) -> float:
    """Mean over images of the sum over classes of ``p ln(p / q)``."""
    return float((p_NC * (np.log(p_NC) - np.log(q_NC))).sum(axis=1).mean())


def soft_kl(student_NC: Array, teacher_NC: Array, temperature: float) -> float:
    return temperature**2 * kl(softmax(teacher_NC / temperature, axis=1), softmax(student_NC / temperature, axis=1))


def labels(given: Given) -> float:
    return cross_entropy(given.student_NC, given.labels_N)


def label_smoothing(given: Given) -> float:
    """Szegedy et al. 2016, section 7."""
    num_classes = given.student_NC.shape[1]
    target_NC = 0.9 * np.eye(num_classes)[given.labels_N] + 0.1 / num_classes
    return float(-(target_NC * log_softmax(given.student_NC, axis=1)).sum(axis=1).mean())


def teacher_free_kd(given: Given) -> float:
    """Yuan et al. 2020, eqs. 10 and 11: p = 0.99 for the label, the rest in equal parts, softened at T 20."""
    num_classes = given.student_NC.shape[1]
    p_NC = np.full_like(given.student_NC, 0.01 / (num_classes - 1))
    p_NC[np.arange(len(p_NC)), given.labels_N] = 0.99
    softened_NC = p_NC ** (1 / 20) / (p_NC ** (1 / 20)).sum(axis=1, keepdims=True)
    return 0.9 * labels(given) + 0.1 * 400 * kl(softened_NC, softmax(given.student_NC / 20, axis=1))


def kd(given: Given) -> float:
    """Hinton et al. 2015, section 2."""
    return 0.1 * labels(given) + 0.9 * soft_kl(given.student_NC, given.teacher_NC, 4.0)


def standardized(given: Given) -> float:
    """Sun et al. 2024, algorithm 1, with the deviation of the published code (over C - 1); T 2, weights 9 and 0.1."""

    def z_score(logits_NC: Array) -> Array:
        centred_NC = logits_NC - logits_NC.mean(axis=1, keepdims=True)
        return np.asarray(centred_NC / logits_NC.std(axis=1, ddof=1, keepdims=True))

    return 0.1 * labels(given) + 9 * soft_kl(z_score(given.student_NC), z_score(given.teacher_NC), 2.0)


def logit_mse(given: Given) -> float:
    """Ba & Caruana 2014, eq. 2, of zero-mean logits."""
    difference_NC = given.student_NC - given.teacher_NC
    return float(((difference_NC - difference_NC.mean(axis=1, keepdims=True)) ** 2).mean())


def dkd(given: Given) -> float:
    """Zhao et al. 2022, eqs. 1 to 7: alpha 1, beta 8, T 4; linear warm-up over the first twelfth."""
    total = 0.0
    for student_C, teacher_C, label in zip(given.student_NC, given.teacher_NC, given.labels_N, strict=True):
        p_C, q_C = softmax(teacher_C / 4), softmax(student_C / 4)
        b_teacher, b_student = (np.array([each[label], 1 - each[label]]) for each in (p_C, q_C))
        rest_teacher, rest_student = (np.delete(each, label) / (1 - each[label]) for each in (p_C, q_C))
        tckd = (b_teacher * np.log(b_teacher / b_student)).sum()
        nckd = (rest_teacher * np.log(rest_teacher / rest_student)).sum()
        total += tckd + 8 * nckd
    return labels(given) + min(1.0, given.progress * 12) * 16 * total / len(given.labels_N)


def dist(given: Given) -> float:
    """Huang et al. 2022, eqs. 7 to 9: beta 1, gamma 1, T 4, times T^2 and 2."""
    student_NC, teacher_NC = (softmax(each / 4, axis=1) for each in (given.student_NC, given.teacher_NC))

    def distance(first: Array, second: Array) -> float:
        return float(np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]))

    return labels(given) + 2 * 16 * (distance(student_NC, teacher_NC) + distance(student_NC.T, teacher_NC.T))


def halved(maps: Array) -> Array:
    """Each 2 x 2 places averaged."""
    num_images, channels, height, width = maps.shape
    return np.asarray(maps.reshape(num_images, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5)))


def hint_term(given: Given, prefix: str) -> float:
    """Romero et al. 2015, eq. 3, with a 1 x 1 convolution; the mean over all that the teacher's layer has."""
    weight, bias = given.own[f"{prefix}regressor.weight"][:, :, 0, 0], given.own[f"{prefix}regressor.bias"]
    predicted = np.einsum("kc,nchw->nkhw", weight, given.student["stage1"]) + bias[None, :, None, None]
    return float(0.5 * ((predicted - halved(given.teacher["stage1"])) ** 2).mean())


def hint(given: Given) -> float:
    return labels(given) + 100 * hint_term(given, "term.")


def hint_first(given: Given) -> float:
    return hint_term(given, "_hint.") if given.progress < 0.5 else kd(given)


def attention_term(given: Given) -> float:
    """Zagoruyko & Komodakis 2017, eq. 2 as published in code: mean squares of the difference, summed over layers."""

    def attention_map(maps: Array) -> Array:
        flat = (maps**2).mean(axis=1).reshape(len(maps), -1)
        return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))

    teacher = {"stage1": halved(given.teacher["stage1"]), "stage2": given.teacher["stage2"]}
    differences = [attention_map(given.student[name]) - attention_map(teacher[name]) for name in teacher]
    return float(sum((each**2).mean() for each in differences))


def attention(given: Given) -> float:
    return labels(given) + 1000 * attention_term(given)


def similarity(given: Given) -> float:
    """Tung & Mori 2019, eqs. 1 to 4."""

    def gram(features: Array) -> Array:
        flat_ND = features.reshape(len(features), -1)
        similarities_NN = flat_ND @ flat_ND.T
        return np.asarray(similarities_NN / np.linalg.norm(similarities_NN, axis=1, keepdims=True))

    difference_NN = gram(given.student["stage2"]) - gram(given.teacher["stage2"])
    return labels(given) + 3000 * float(np.linalg.norm(difference_NN, "fro") ** 2) / len(difference_NN) ** 2


def huber(difference: Array) -> float:
    """Of slope 1 beyond 1, the mean over all."""
    size = np.abs(difference)
    return float(np.where(size <= 1, size**2 / 2, size - 0.5).mean())


def relational(given: Given) -> float:
    """Park et al. 2019, eqs. 5 to 9, by loops over pairs and triples."""

    def distances(features: Array) -> Array:
        num = len(features)
        pairs = np.array([[np.linalg.norm(a - b) for b in features] for a in features])
        return np.asarray(pairs / (pairs.sum() / (num * (num - 1))))

    def angles(features: Array) -> Array:
        num = len(features)
        cosines = np.zeros((num, num, num))
        for i, j, k in np.ndindex(num, num, num):
            to_j, to_k = features[j] - features[i], features[k] - features[i]
            length = np.linalg.norm(to_j) * np.linalg.norm(to_k)
            cosines[i, j, k] = to_j @ to_k / length if length else 0.0
        return cosines

    student, teacher = (each["stage2"].reshape(len(given.labels_N), -1) for each in (given.student, given.teacher))
    relations = 25 * huber(distances(student) - distances(teacher)) + 50 * huber(angles(student) - angles(teacher))
    return labels(given) + relations


def contrastive(given: Given) -> float:
    """Tian et al. 2020, eqs. 10 and 11 with the noise of eq. 18, on the negatives that the seed draws; tau 0.07."""
    torch.manual_seed(given.seed)
    drawn_K = torch.randint(len(LABELS_M), (16_384,)).numpy()
    counts_NK = LABELS_M[drawn_K][None, :] != given.labels_N[:, None]
    total = 0.0
    for own, other in (("student", "teacher"), ("teacher", "student")):
        features_ND = getattr(given, own)["stage2"].mean(axis=(2, 3))
        anchors_ND = features_ND @ given.own[f"term.embed_{own}.weight"].T + given.own[f"term.embed_{own}.bias"]
        anchors_ND /= np.linalg.norm(anchors_ND, axis=1, keepdims=True)
        memory_MD = given.own[f"term.memory_{other}"]
        positive_N = np.exp((anchors_ND * memory_MD[given.indices_N]).sum(axis=1) / 0.07)
        negative_NK = np.exp(anchors_ND @ memory_MD[drawn_K].T / 0.07)
        normalizer = np.concatenate([positive_N, negative_NK[counts_NK]]).mean() * len(LABELS_M)
        noise_N = counts_NK.sum(axis=1) / len(LABELS_M)
        found_N = positive_N / normalizer / (positive_N / normalizer + noise_N)
        refused_NK = noise_N[:, None] / (negative_NK / normalizer + noise_N[:, None])
        total -= (np.log(found_N) + (np.log(refused_NK) * counts_NK).sum(axis=1)).mean()
    return labels(given) + 0.8 * total


def boundary(given: Given) -> float:
    """Heo et al. 2019: of a linear teacher the sample is a fiftieth past the foot of the perpendicular; T 3, no T^2."""
    is_right_N = (given.teacher_NC.argmax(1) == given.labels_N) & (given.student_NC.argmax(1) == given.labels_N)
    images_ND, from_N = given.images_ND[is_right_N], given.labels_N[is_right_N]
    others_NC = given.teacher_NC[is_right_N].copy()
    others_NC[np.arange(len(from_N)), from_N] = -np.inf
    torch.manual_seed(given.seed)
    to_N = torch.multinomial(torch.tensor(softmax(others_NC, axis=1)), 1).squeeze(1).numpy()
    samples = []
    for image, label, other in zip(images_ND, from_N, to_N, strict=True):
        normal = given.teacher_weight[label] - given.teacher_weight[other]
        foot = image - (normal @ image) / (normal @ normal) * normal
        sample = foot + 0.02 * (foot - image)
        if (given.teacher_weight @ sample).argmax() == other:
            samples.append(sample)
    assert 2 <= len(samples) < len(from_N), "some come over and some do not"
    student_NC, teacher_NC = (np.stack(samples) @ each.T for each in (given.student_weight, given.teacher_weight))
    weight = 2 * max(0.0, 1 - given.progress / 0.75)
    return labels(given) + weight * soft_kl(student_NC, teacher_NC, 3.0) / 9


def function_matching(given: Given) -> float:
    """Beyer et al. 2022, section 3: KL at T 1."""
    return soft_kl(given.student_NC, given.teacher_NC, 1.0)


def weighted_sum(given: Given) -> float:
    return 0.1 * labels(given) + 0.9 * soft_kl(given.student_NC, given.teacher_NC, 4.0) + 1000 * attention_term(given)


GOLDEN: Mapping[str, Callable[[Given], float]] = {
    "labels": labels,
    "label_smoothing": label_smoothing,
    "teacher_free_kd": teacher_free_kd,
    "kd": kd,
    "standardized": standardized,
    "logit_mse": logit_mse,
    "dkd": dkd,
    "dist": dist,
    "hint": hint,
    "hint_first": hint_first,
    "attention": attention,
    "similarity": similarity,
    "relational": relational,
    "contrastive": contrastive,
    "boundary": boundary,
    "function_matching": function_matching,
    "sum": weighted_sum,
}
