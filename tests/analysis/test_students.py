"""Names of students: by width where it tells them apart, by architecture where it does not."""

from dataclasses import replace
from pathlib import Path

from analysis.results import read_study
from analysis.students import hover_text, loss_option, method_title, methods, sizes, title
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.metrics import metric
from trainables.study_paths import StudyPaths


def test_sizes_are_called_and_ordered_by_their_width(tmp_path: Path) -> None:
    trials = [MadeTrial(width=16), MadeTrial(width=2), MadeTrial(width=8)]
    named = sizes(read_study(write_study(tmp_path, trials)))
    assert list(named.labels.values()) == ["2", "8", "16"]
    assert named.axis_title == "student width"
    assert named.name("cnn(width=8)") == "width 8"
    assert named.position("cnn(width=16)") == 2


def test_two_families_of_one_width_are_called_by_their_architecture(tmp_path: Path) -> None:
    trials = [MadeTrial(width=8, family="resnet"), MadeTrial(width=8), MadeTrial(width=4)]
    named = sizes(read_study(write_study(tmp_path, trials)))
    assert list(named.labels) == ["cnn(width=4)", "cnn(width=8)", "resnet(width=8)"]
    assert named.name("resnet(width=8)") == "resnet(width=8)"


def test_architecture_without_a_width_falls_back_to_its_key(tmp_path: Path) -> None:
    paths = StudyPaths(write_study(tmp_path, [MadeTrial(width=8)], profiles=False))
    journal = paths.journal.read_text(encoding="utf-8").replace('"options":{"width":8}', '"options":{"depth":3}')
    paths.journal.write_text(journal, encoding="utf-8")
    assert sizes(read_study(tmp_path)).labels == {"cnn(depth=3)": "cnn(depth=3)"}


def test_profiled_architecture_that_was_never_tried_is_listed(tmp_path: Path) -> None:
    paths = StudyPaths(write_study(tmp_path / "tried", [MadeTrial(width=4), MadeTrial(width=8)]))
    other = StudyPaths(write_study(tmp_path / "other", [MadeTrial(width=4)]))
    other.profiles_json.write_bytes(paths.profiles_json.read_bytes())
    assert list(sizes(read_study(other.root)).labels.values()) == ["4", "8"]


def test_methods_begin_with_labels_only(tmp_path: Path) -> None:
    kd = MadeTrial(method="kd", temperature=2.0, alpha=0.5)
    results = read_study(write_study(tmp_path, [kd, MadeTrial(), replace(kd, method="attention")]))
    assert methods(results.trials) == ["labels", "attention", "kd"]
    assert [method_title(each) for each in methods(results.trials)][:2] == ["labels only", "attention (distilled)"]


def test_labels_only_student_has_no_temperature(tmp_path: Path) -> None:
    kd = MadeTrial(method="kd", temperature=2.0, alpha=0.5)
    labels_trial, kd_trial = read_study(write_study(tmp_path, [MadeTrial(), kd])).trials
    assert loss_option(labels_trial, "temperature") is None
    assert loss_option(kd_trial, "temperature") == 2.0


def test_student_is_told_in_a_few_words_and_in_full_under_the_pointer(tmp_path: Path) -> None:
    kd = MadeTrial(width=8, method="kd", temperature=2.0, alpha=0.5, accuracy=0.9812, latency_ms=0.2134)
    results = read_study(write_study(tmp_path, [kd]))
    (trial,) = results.trials
    assert title(trial, sizes(results)) == "trial 0 (width 8, kd)"
    lines = hover_text(trial, (metric("validation_accuracy"), metric("latency_p50_ms_batch1"))).split("<br>")
    assert lines[0] == "<b>trial 0</b>, kd (distilled), complete"
    assert lines[1].endswith(": 98.12 %")
    assert lines[2].endswith(": 0.213 ms")
    assert {"width = 8", "temperature = 2", "alpha = 0.5"} <= set(lines)
