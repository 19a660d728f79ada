"""The search stage alone, as `kd-study run` runs it, with a trial class that also notes what a benchmark asks for."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ray import tune
from rich.console import Console

import search_spaces
from study import stages
from study import store as stores
from study.cluster import trial_resources
from study.config import StudyConfig
from study.launch import Launch
from study.progress import Progress
from study.store import StudyStore
from tests.profiles import architecture_profile
from trainables.checkpoints import save_weights
from trainables.data.image_arrays import TrainingData
from trainables.measurements import ProfilesRecord
from trainables.models import build
from trainables.records import TeacherRecord
from trainables.teacher_outputs import Split

Around = Callable[[Launch], contextlib.AbstractContextManager[object]]


def run_search(
    directory: Path,
    config: StudyConfig,
    data: TrainingData,
    trial: type[tune.Trainable],
    around: Around = contextlib.nullcontext,
) -> None:
    """Search on the connected cluster; teacher and profiles are made up, so that no process but the trials' starts.

    Args:
        directory: of the study, which is made.
        config: of the study.
        data: that its trials are given.
        trial: the class that runs them.
        around: what is entered before the search begins and left when it has ended.
    """
    space = search_spaces.build(config.space)
    batch_sizes = tuple(space.training_batch_sizes())
    students = {model.key: architecture_profile(model, batch_sizes=batch_sizes) for model in space.architectures()}
    profiles = ProfilesRecord(
        fingerprint=config.fingerprint("profile"), teacher=architecture_profile(config.teacher.model), students=students
    )
    with stores.create(directory, config) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "StudentTrial", trial)
        progress = Progress(store.paths, store.record, Console(file=io.StringIO()), config.search.num_trials)
        launch = Launch(store, space, data, trial_resources(config.resources), progress, lambda: False)
        teacher = _untrained_teacher(store, data)
        with around(launch):
            stages.search(launch, teacher, profiles)


def _untrained_teacher(store: StudyStore, data: TrainingData) -> TeacherRecord:
    """A teacher that knows nothing: how fast a student is, and how large, does not depend on what it is told."""
    teacher = store.config.teacher
    network = build(teacher.model, input_shape=data.input_shape, num_classes=data.num_classes)
    save_weights(store.paths.teacher.weights, network.state_dict())
    stream = np.random.default_rng(0)
    for split, images in ((Split.TRAIN, data.train), (Split.VALIDATION, data.validation)):
        logits_NC = stream.standard_normal((len(images), data.num_classes), dtype=np.float32)
        np.save(store.paths.teacher.logits(split), logits_NC)
    return TeacherRecord(
        model=teacher.model,
        num_parameters=1,
        validation_accuracy=0.0,
        validation_nll=0.0,
        epochs=0,
        train_seconds=0.0,
        fingerprint=store.config.fingerprint("teach"),
    )
