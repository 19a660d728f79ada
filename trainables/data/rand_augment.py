"""RandAugment by batch: images that draw an operation meet it together. Loads torchvision, so is itself loaded late."""

# Shapes: N images of a batch, M of the set, K operations one after another, C channels, H height, W width.

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from trainables.config import RandAugmentConfig
from trainables.randomness import generator

STRONGEST = 30


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done to images (N, C, H, W), at a strength from `weakest` to `strongest`; if `is_signed`, or minus it."""

    apply: Callable[[Tensor, float], Tensor]
    weakest: float = 0.0
    strongest: float = 0.0
    is_signed: bool = False

    def at(self, images_NCHW: Tensor, magnitude: int, *, is_negative: bool) -> Tensor:
        """At the magnitude's place between the two, in single precision as torchvision has it."""
        strength = float(torch.linspace(self.weakest, self.strongest, STRONGEST + 1)[magnitude])
        return self.apply(images_NCHW, -strength if is_negative else strength)


def _affine(
    images_NCHW: Tensor,
    *,
    right: int = 0,
    down: int = 0,
    shear: tuple[float, float] = (0.0, 0.0),
    center: list[float] | None = None,
) -> Tensor:
    moved: Tensor = functional.affine(
        images_NCHW, angle=0.0, translate=[right, down], scale=1.0, shear=list(shear), center=center
    )
    return moved


def _shear_angle(tangent: float) -> float:
    return math.degrees(math.atan(tangent))


# Those of torchvision.transforms.v2.RandAugment, at its strengths, with zeros moving in.
OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "identity": Operation(lambda images, _: images),
        "shear_x": Operation(lambda i, s: _affine(i, shear=(_shear_angle(s), 0.0), center=[0, 0]), 0.0, 0.3, True),
        "shear_y": Operation(lambda i, s: _affine(i, shear=(0.0, _shear_angle(s)), center=[0, 0]), 0.0, 0.3, True),
        "translate_x": Operation(lambda i, s: _affine(i, right=int(s * i.shape[-1])), 0.0, 150 / 331, True),
        "translate_y": Operation(lambda i, s: _affine(i, down=int(s * i.shape[-2])), 0.0, 150 / 331, True),
        "rotate": Operation(lambda i, s: functional.rotate(i, angle=s), 0.0, 30.0, True),
        "brightness": Operation(lambda i, s: functional.adjust_brightness(i, 1.0 + s), 0.0, 0.9, True),
        "color": Operation(lambda i, s: functional.adjust_saturation(i, 1.0 + s), 0.0, 0.9, True),
        "contrast": Operation(lambda i, s: functional.adjust_contrast(i, 1.0 + s), 0.0, 0.9, True),
        "sharpness": Operation(lambda i, s: functional.adjust_sharpness(i, 1.0 + s), 0.0, 0.9, True),
        "posterize": Operation(lambda i, s: functional.posterize(i, round(s)), 8.0, 4.0),
        "solarize": Operation(lambda i, s: functional.solarize(i, 255.0 * s), 1.0, 0.0),
        "auto_contrast": Operation(lambda images, _: functional.autocontrast(images)),
        "equalize": Operation(lambda images, _: functional.equalize(images)),
    }
)
_IN_ORDER = tuple(OPERATIONS.values())


@final
class EpochRandAugment:
    """What an epoch does to each image, drawn by its place in the set.

    An operation's result for an image does not depend on the images beside it: torchvision computes each from its own
    pixels. (Contrast sums an image's pixels in single precision, which torch does in one order up to 32,768 pixels
    an image on a CPU; on a GPU the order may follow the number of images, and a byte differ by 1 between batches that
    are composed otherwise.)
    """

    def __init__(self, config: RandAugmentConfig, seed: int, epoch: int, num_images: int) -> None:
        self._magnitude = config.magnitude
        # Twice an operation's number, and 1 more where its strength is negative; on the CPU, where that is decided.
        codes = torch.randint(
            2 * len(_IN_ORDER), (num_images, config.num_ops), generator=generator(seed, "rand_augment", epoch)
        )
        is_signed = torch.tensor([each.is_signed for each in _IN_ORDER])[codes // 2]
        self.codes_MK = codes - codes % 2 * ~is_signed

    def __call__(self, images_NCHW: Tensor, indices_N: Tensor) -> Tensor:
        """The images at `indices_N`, bytes (N, C, H, W), C 1 or 3, changed; an accelerator is waited for once."""
        for codes_N in self.codes_MK.index_select(0, indices_N.cpu()).unbind(1):
            images_NCHW = self._once(images_NCHW, codes_N)
        return images_NCHW

    def _once(self, images_NCHW: Tensor, codes_N: Tensor) -> Tensor:
        changed_NCHW = torch.empty_like(images_NCHW)
        for code in set(codes_N.tolist()):
            places = (codes_N == code).nonzero().view(-1).to(images_NCHW.device)
            chosen = images_NCHW.index_select(0, places)
            operation = _IN_ORDER[code // 2]
            changed_NCHW.index_copy_(0, places, operation.at(chosen, self._magnitude, is_negative=bool(code % 2)))
        return changed_NCHW
