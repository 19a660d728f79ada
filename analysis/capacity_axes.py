"""What stands along the axis of curves: its question and title, its values as text, and where each is placed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10

from analysis.capacity import OMITTED
from analysis.kinds import Value, is_number
from analysis.wording import significant
from trainables.config import EVERY_CLASS

_QUESTIONS = {
    "width": "How small can a student be, and where does the teacher help?",
    "transfer_share": "How many images does a student need, with the teacher and without?",
    "label_share": "How many labels does a student need, with the teacher and without?",
    OMITTED: "What does it cost never to be shown a class, with the teacher and without?",
    "teacher_width": "Does a larger teacher make better students?",
    "teacher_parameters": "Does a larger teacher make better students?",
    "teacher_epochs": "Does a teacher that was trained for longer make better students?",
    "teacher_accuracy": "Does a more accurate teacher make better students?",
}
_TITLES = {
    "width": "student width",
    "transfer_share": "share of the training images that are shown",
    "label_share": "share of the shown images that have their label",
    OMITTED: "class of which no image was shown",
    "teacher_width": "teacher width",
    "teacher_parameters": "parameters of the teacher",
    "teacher_epochs": "epochs of the teacher's training",
    "teacher_accuracy": "validation accuracy of the teacher",
}
_NOUNS = {"teacher_width": "teacher width", "teacher_parameters": "parameters", "teacher_epochs": "epochs"}
_COUNTED = ("teacher_parameters", "teacher_epochs")
_FRACTIONS = ("transfer_share", "label_share", "teacher_accuracy")
_LOG_RATIO = 4.0  # from here on a log axis tells more


def question(parameter: str) -> str:
    """What curves along a parameter ask."""
    return _QUESTIONS.get(parameter, f"How does test accuracy change with {parameter.replace('_', ' ')}?")


def axis_title(parameter: str) -> str:
    """What stands along the axis, without its unit."""
    return _TITLES.get(parameter, parameter.replace("_", " "))


def place_text(parameter: str, value: Value) -> str:
    """A value of the parameter as a tick or a sentence shows it: "8", "30 %"."""
    if not is_number(value):
        return str(value)
    if parameter in _FRACTIONS:
        return f"{100 * float(value):.4g} %"
    return f"{value:,}" if isinstance(value, int) else significant(float(value))


def place_name(parameter: str, value: Value) -> str:
    """A value of the parameter in a sentence: "width 8", "30 %", "class 3"."""
    if parameter == OMITTED:
        return "no class left out" if value == EVERY_CLASS else f"class {value}"
    noun = _NOUNS.get(parameter, "" if parameter in _FRACTIONS else parameter.replace("_", " "))
    text = place_text(parameter, value)
    return f"{text} {noun}" if parameter in _COUNTED else f"{noun} {text}".strip()


@dataclass(frozen=True, slots=True)
class Places:
    """Where the values of a parameter stand, in the axis' own numbers, and the axis' settings."""

    parameter: str
    at: Mapping[Value, float]
    settings: Mapping[str, object]

    @property
    def extent(self) -> float:
        """From the first place to the last."""
        return max(self.at.values()) - min(self.at.values()) or 1.0

    def text(self, value: Value) -> str:
        """A value in a sentence."""
        return place_name(self.parameter, value)

    @property
    def are_numbers(self) -> bool:
        """Whether what lies between two of them means something."""
        return all(map(is_number, self.at))


def places_of(parameter: str, values: Sequence[Value]) -> Places:
    """By logarithm where the values are far apart, a 0 then set apart below; text side by side."""
    numbers = [float(value) for value in values if is_number(value)]
    positive = [value for value in numbers if value > 0.0]
    title, unit = axis_title(parameter), "%" if parameter in _FRACTIONS else ""
    if len(numbers) < len(values):
        at, scale = {value: float(place) for place, value in enumerate(values)}, ""
    elif min(numbers) >= 0.0 and len(positive) > 1 and max(positive) >= _LOG_RATIO * min(positive):
        gap = (log10(max(positive)) - log10(min(positive))) / (len(positive) - 1)
        at = {each: log10(float(each)) if float(each) > 0.0 else log10(min(positive)) - gap for each in values}
        scale = "log scale" if len(positive) == len(numbers) else "log scale, 0 set apart"
    else:
        at, scale = {value: float(value) for value in values}, ""
    addition = ", ".join(each for each in (unit, scale) if each)
    texts = [place_text(parameter, value).removesuffix(" %") for value in values]
    low, high = min(at.values()), max(at.values())
    margin = 0.07 * (high - low) or 0.5
    return Places(
        parameter,
        at,
        {
            "title_text": f"{title} ({addition})" if addition else title,
            "tickvals": list(at.values()), "ticktext": texts, "range": [low - margin, high + margin],
        },
    )  # fmt: skip
