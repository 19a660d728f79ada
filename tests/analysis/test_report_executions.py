"""What the report says of how training was computed."""

from dataclasses import replace
from pathlib import Path

from analysis.report_executions import execution_text, execution_words
from analysis.report_measured import measured
from analysis.results import read_study
from tests.analysis.study_directory import MadeTrial, write_study
from tests.profiles import profile, training
from trainables.config import Execution, ModelConfig
from trainables.measurements import TrainingMeasurement, TriedExecution

DEVICE = profile(ModelConfig(name="cnn", options={"width": 2}), 2, 0.2).device
USUAL, TF32 = Execution(precision="bfloat16", tf32=True), Execution(tf32=True)
COMPILED = USUAL.model_copy(update={"compile": "default"})
GRAPHS = USUAL.model_copy(update={"compile": "cuda_graphs"})


def tried(chosen: Execution, *speeds: tuple[Execution, float | None]) -> TrainingMeasurement:
    attempts = tuple(
        TriedExecution(execution=each, images_per_s=speed, failure=None if speed else "RuntimeError: no Triton")
        for each, speed in speeds
    )
    return training(2, 64).model_copy(update={"execution": chosen, "tried": attempts})


def test_ways_are_told_in_words() -> None:
    assert execution_text(Execution()) == "float32, channels last"
    assert execution_text(TF32) == "float32 by TF32, channels last"
    assert execution_text(USUAL) == "bfloat16, channels last"
    whole = GRAPHS.model_copy(update={"optimizer": "foreach", "memory_format": "contiguous"})
    assert execution_text(whole) == (
        "bfloat16, channels first, the optimiser operation by operation, compiled and replayed as CUDA graphs"
    )


def test_what_was_tried_is_told_with_what_was_taken_how_fast_the_others_were_and_what_failed() -> None:
    """Median of 0.5 and 0.7 of the usual speed; twice it, compiled, where that ran."""
    trainings = [
        tried(COMPILED, (USUAL, 1_000.0), (TF32, 500.0), (COMPILED, 2_000.0), (GRAPHS, None)),
        tried(USUAL, (USUAL, 100.0), (TF32, 70.0), (COMPILED, None), (GRAPHS, None)),
    ]
    taken, others, failed = execution_words(trainings, DEVICE)
    assert "bfloat16, channels last, compiled (1 of 2) and bfloat16, channels last (1 of 2)" in taken
    assert others == (
        "Against bfloat16, channels last, the median speed once it runs was: float32 by TF32, channels last 0.6 times "
        "in 2 cases and bfloat16, channels last, compiled 2 times in 1 case."
    )
    graphs = "bfloat16, channels last, compiled and replayed as CUDA graphs (RuntimeError: no Triton) in 2 cases"
    assert graphs in failed
    assert "bfloat16, channels last, compiled (RuntimeError: no Triton) in 1 case" in failed


def test_one_way_is_told_only_where_it_is_not_that_of_the_device(tmp_path: Path) -> None:
    plain = training(2, 64)
    own = plain.model_copy(update={"execution": Execution()})
    assert execution_words([plain, own], DEVICE) == []
    asked = plain.model_copy(update={"execution": Execution(precision="bfloat16")})
    (text,) = execution_words([asked], DEVICE)
    assert text.startswith("Training was in bfloat16, by autocast")
    results = read_study(write_study(tmp_path, [MadeTrial()]))
    assert "tried" not in " ".join(measured(results))
    assert results.profiles is not None
    students = {
        key: each.model_copy(update={"trainings": (tried(USUAL, (USUAL, 2.0), (TF32, 1.0)),)})
        for key, each in results.profiles.students.items()
    }
    profiles = results.profiles.model_copy(update={"students": students})
    assert "tried on the device" in " ".join(measured(replace(results, profiles=profiles)))
