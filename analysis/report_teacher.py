"""The report's words on who teaches: the teacher, and the assistants between it and the students."""

from analysis.findings import ACCURACY
from analysis.results import StudyResults
from analysis.wording import count, duration, value_text


def taught_by(results: StudyResults) -> list[str]:
    """The teacher and how it was trained, then the chain below it with what each is worth; nothing before it is."""
    teacher = results.teacher
    if teacher is None:
        return []
    text = (
        f"The teacher is {teacher.model.key}, trained on the labels for {count(teacher.epochs, 'epoch')} "
        f"in {duration(teacher.train_seconds)}."
    )
    if teacher.source is not None:
        text = (
            f"The teacher is {teacher.model.key}, trained elsewhere and brought: {teacher.source}. It may have learned "
            "from images that are validation images here: what it is worth on them, and how well students agree with "
            "it there, may flatter it."
        )
    if not results.assistants:
        return [text]
    chain = [f"{teacher.model.key} ({value_text(ACCURACY, teacher.validation_accuracy)} on validation)"]
    chain += [
        f"{each.model.key} (by {'labels' if each.loss is None else each.loss.key}, "
        f"{value_text(ACCURACY, each.validation_accuracy)})"
        for each in results.assistants
    ]
    stand = "stands an assistant" if len(results.assistants) == 1 else "stand assistants"
    return [
        text,
        f"Between it and the students {stand}: {', which teaches '.join(chain)}.",
        "The last one is the students' teacher, and agreement is with it.",
    ]
