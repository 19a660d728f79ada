"""Hinton's table as it was recorded: it is of the recipe that the command runs, and the README shows what it says."""

from pathlib import Path

import pytest

from analysis.reproduction import hinton2015_table, markdown
from study.recipes import read_recipe
from trainables.hinton2015 import plan
from trainables.hinton2015_results import Hinton2015Record

TOP = Path(__file__).parents[2]
RECORD = Hinton2015Record.model_validate_json((TOP / "tests" / "recorded" / "hinton2015.json").read_bytes())
ROWS = {row.what: row for row in hinton2015_table(RECORD)}
HEADER = "| | paper | mean | 95 % interval | by seed |"
NUM_TEST_IMAGES = 10_000


def test_every_run_of_the_recipe_is_there_once_a_seed() -> None:
    assert RECORD.num_seeds >= 3
    planned = sorted(each.key for each in plan(RECORD.recipe, 0))
    for seed in range(RECORD.num_seeds):
        assert sorted(each.experiment.key for each in RECORD.results if each.experiment.seed == seed) == planned


def test_record_is_of_the_recipe_that_the_command_runs() -> None:
    assert read_recipe("hinton2015") == RECORD.recipe


def test_test_images_are_counted_once_by_class() -> None:
    """MNIST's test split has 1,010 threes, as the paper says."""
    for result in RECORD.results:
        counted = result.on_validation if result.experiment.is_twin else result.on_test
        assert counted is not None
        assert counted.num_images == (
            RECORD.recipe.dataset.num_validation_images if result.experiment.is_twin else NUM_TEST_IMAGES
        )
        if result.on_test is not None:
            assert result.on_test.num_images_by_class[3] == 1_010


def shown_in(readme: str) -> list[str]:
    text = (TOP / readme).read_text("utf-8")
    return text[text.index(HEADER) :].split("\n\n")[0].splitlines()


def test_tables_show_the_rows_as_they_were_recorded() -> None:
    recorded = markdown(list(ROWS.values())).splitlines()
    assert shown_in("tests/recorded/README.md") == recorded
    first_rows = shown_in("README.md")
    assert len(first_rows) > 10
    assert [line for line in first_rows if line not in recorded] == []


def test_soft_targets_have_clearly_fewer_errors_than_labels() -> None:
    """As the paper has it: 74 and 146."""
    difference = ROWS["labels alone, less soft targets at T 20"]
    assert difference.low is not None
    assert difference.low > 0.0
    assert 130 <= ROWS["student 800-800, labels alone"].mean <= 170
    assert 65 <= ROWS["student 800-800, soft targets at T 20"].mean <= 95


def test_what_was_never_shown_is_recognised_once_the_bias_is_moved() -> None:
    """No 3s: 98.6 % of them right; only 7s and 8s: 13.2 % wrong, in the paper."""
    assert ROWS["no 3 in the transfer set, bias by validation: threes that are right"].mean >= 97.0
    assert ROWS["only 7s and 8s in the transfer set, biases by validation"].mean <= 15.0


def test_temperatures_matter_to_the_narrow_student_alone() -> None:
    """Thirty units: the best lies from 2 to 5. 300 units: those from 8 on lie within a percent of the images."""
    assert 2.0 <= ROWS["30-30, the T with the fewest errors on average"].mean <= 5.0
    wide = [ROWS[f"300-300, T {temperature}"].mean for temperature in (8, 20, 40)]
    assert max(wide) - min(wide) <= 15.0
    assert wide[0] == pytest.approx(sum(wide) / 3, rel=0.15)
