"""What the report says of taking a student away: where its weights are, and the lines that load them."""

from pathlib import Path

from analysis.findings import accuracy
from analysis.results import StudyResults
from analysis.students import sizes, title
from trainables.config import DatasetConfig
from trainables.study_paths import StudyPaths


def taking_away(results: StudyResults) -> list[str]:
    """Where the weights of the students on the front are, and what the network expects."""
    if not results.front:
        return ["There is no student on the front yet."]
    named = sizes(results)
    paths = StudyPaths(Path())
    files = [f"{paths.student_weights(trial.number)} is {title(trial, named)}" for trial in results.front]
    best = max(results.front, key=accuracy).number
    exported = (
        f"kd-study export DIR --trial {best} --out FOLDER writes a student as safetensors, with a card that says what "
        "it expects and what it reaches, and as a torch.export program that needs torch alone; of a verified student "
        "it takes the retraining that validates best, whose own test accuracy is known."
    )
    texts = [exported, f"The weights as the search left them are in the study's directory: {'; '.join(files)}."]
    if loading_code(results):
        texts.append(
            "The lines below, run in that directory, load one. The network takes images as float32 (N, C, H, W), their "
            "pixels scaled to [0, 1], less dataset.mean_C and over dataset.std_C by channel, and returns logits."
        )
    if results.record.import_folder is not None:
        texts.append(f"Networks and datasets of one's own are imported from {results.record.import_folder}.")
    return texts


def loading_code(results: StudyResults) -> str:
    """A program that loads the most accurate student on the front; empty where there is none, or no known dataset."""
    dataset = results.record.config.get("dataset")
    chosen = max(results.front, key=accuracy, default=None)
    if dataset is None or chosen is None or chosen.student is None:
        return ""
    model, images = chosen.student.model, DatasetConfig.model_validate(dataset)
    return (
        "from safetensors.torch import load_file\n"
        "from trainables import data, models\n"
        "from trainables.config import DatasetConfig, ModelConfig\n\n"
        f"dataset = data.load(DatasetConfig(name={images.name!r}, options={images.options!r}))\n"
        f"config = ModelConfig(name={model.name!r}, options={model.options!r})\n"
        "model = models.build(config, input_shape=dataset.train.image_shape, num_classes=dataset.num_classes).eval()\n"
        f"model.load_state_dict(load_file({str(StudyPaths(Path()).student_weights(chosen.number))!r}))\n"
    )
