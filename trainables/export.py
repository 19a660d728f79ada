"""A trained student as files that travel: safetensors, a card, and a `torch.export` program checked against it."""

import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from trainables import models
from trainables.checkpoints import load_weights
from trainables.config import Frozen, StudentConfig
from trainables.verified import Preprocessing
from trainables.whole_files import write_record

MAX_LOGIT_DIFFERENCE = 1e-4
WEIGHTS_NAME, PROGRAM_NAME, CARD_NAME = "student.safetensors", "student.pt2", "card.json"


class ExportCard(Frozen):
    """What must be known of an exported student; it lies beside its weights and its program."""

    study: str
    trial: int
    weights_of: str
    student: StudentConfig
    preprocessing: Preprocessing
    metrics: dict[str, float | None]
    versions: dict[str, str]
    num_checked_images: int
    largest_logit_difference: float


def export_student(card: ExportCard, weights: Path, images_NCHW: Tensor, folder: Path) -> ExportCard:
    """Write the student into `folder`: all of it, or nothing.

    The program takes normalised images (N, C, H, W), float32, N >= 1, and returns logits (N, classes).

    Args:
        card: all but what the check finds.
        weights: safetensors of the student.
        images_NCHW: normalised images, on which the program, read back from its file, is held against the network.
        folder: must not exist, or be empty.

    Returns:
        The card as written.

    Raises:
        ValueError: the folder holds something, the weights are not the network's, or the program's logits differ by
            more than 1e-4.
    """
    folder = folder.absolute()
    if folder == Path.cwd():
        raise ValueError(f"{folder} is where you are: an export makes a folder of its own, name another one")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists: an export goes to a folder that is new or empty")
    network = _network(card, weights)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ValueError(f"{folder}: cannot be made: {error.strerror}") from error
    try:
        torch.export.save(_exported(card, network, images_NCHW), made / PROGRAM_NAME)
        difference = largest_difference(network, torch.export.load(made / PROGRAM_NAME), images_NCHW)
        if not difference <= MAX_LOGIT_DIFFERENCE:
            raise ValueError(
                f"the exported program's logits differ by {difference:.2g} from the student's: "
                f"allowed are {MAX_LOGIT_DIFFERENCE:g}; nothing was written"
            )
        checked = {"num_checked_images": len(images_NCHW), "largest_logit_difference": difference}
        card = card.model_copy(update=checked)
        shutil.copyfile(weights, made / WEIGHTS_NAME)
        write_record(made / CARD_NAME, card)
        made.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return card


def exported_program(network: nn.Module, example_NCHW: Tensor) -> ExportedProgram:
    """The network in evaluation mode as a program of core operators, for any number of images.

    Args:
        network: on the CPU.
        example_NCHW: at least two images, for their shape alone: black ones go with the program. One image would be
            taken for a constant.
    """
    with torch.no_grad():
        return torch.export.export(
            network.eval(), (torch.zeros_like(example_NCHW),), dynamic_shapes=({0: Dim("num_images", min=1)},)
        )


def largest_difference(network: nn.Module, program: ExportedProgram, images_NCHW: Tensor) -> float:
    """Largest difference of a logit between the network and the program, all images at once and the first alone."""
    run = program.module()
    with torch.inference_mode():
        pairs = [(network(images), run(images)) for images in (images_NCHW, images_NCHW[:1])]
    return max(float((ours_NC - its_NC).abs().max()) for ours_NC, its_NC in pairs)


def _exported(card: ExportCard, network: nn.Module, images_NCHW: Tensor) -> ExportedProgram:
    try:
        return exported_program(network, images_NCHW[:2])
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        raise ValueError(
            f"model {card.student.model.key}: torch.export cannot make a program of it: {str(error).splitlines()[0]}"
        ) from error


def _network(card: ExportCard, weights: Path) -> nn.Module:
    given = card.preprocessing
    network = models.build(
        card.student.model.without_weights, input_shape=given.input_shape, num_classes=given.num_classes
    )
    try:
        network.load_state_dict(load_weights(weights))
    except RuntimeError as error:
        raise ValueError(
            f"{weights}: not the weights of {card.student.model.key}: {str(error).splitlines()[0]}"
        ) from error
    return network.eval()
