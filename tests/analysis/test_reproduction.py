"""The table of a reproduction against numbers made by hand."""

import pytest

from analysis.reproduction import TableRow, hinton2015_table, markdown
from tests.trainables.hinton2015_recipe import small_recipe
from trainables.hinton2015 import plan
from trainables.hinton2015_results import ErrorCount, ExperimentResult, Hinton2015Record, ShiftedErrors

RECIPE = small_recipe()


def errors(num_wrong: int, threes: int = 0) -> ErrorCount:
    wrong = [num_wrong - threes, 0, 0, threes, 0, 0, 0, 0, 0, 0]
    return ErrorCount(num_wrong_by_class=tuple(wrong), num_images_by_class=(8_990, 0, 0, 1_010, 0, 0, 0, 0, 0, 0))


def result(key: str, seed: int, **measured: object) -> ExperimentResult:
    experiment = next(each for each in plan(RECIPE, seed) if each.key == key)
    facts = {"num_parameters": 1, "num_images_shown": 1, "train_seconds": 1.0, "num_threads": 1}
    return ExperimentResult.model_validate(
        {"experiment": experiment, "fingerprint": "f", "device": "a CPU", "versions": {}, **facts, **measured}
    )


def table(*results: ExperimentResult) -> dict[str, TableRow]:
    rows = hinton2015_table(Hinton2015Record(recipe=RECIPE, num_seeds=3, results=results))
    assert len({row.what for row in rows}) == len(rows)
    return {row.what: row for row in rows}


def test_mean_and_interval_over_seeds() -> None:
    """60, 66, 72: mean 66, deviation 6; t(0.975, 2) = 4.3027 (any table), times 6 / sqrt(3): 14.905."""
    rows = table(*(result("teacher", seed, on_test=errors(60 + 6 * seed)) for seed in (2, 0, 1)))
    row = rows["teacher 1200-1200, dropout, bounded weights, jitter"]
    assert (row.paper, row.values, row.mean) == ("67", (60.0, 66.0, 72.0), 66.0)
    assert row.low == pytest.approx(66 - 14.905, abs=1e-3)
    assert row.high == pytest.approx(66 + 14.905, abs=1e-3)


def test_a_single_seed_has_no_interval_and_what_is_not_finished_no_row() -> None:
    rows = table(result("labels", 0, on_test=errors(150)))
    assert [(row.mean, row.low, row.high) for row in rows.values()] == [(150.0, None, None)]


def test_labels_less_soft_targets_is_paired_by_seed() -> None:
    """Seed 2 has no partner; 80 and 82 differ by sqrt(2): 81 +- 12.706 sqrt(2) / sqrt(2)."""
    labels = [result("labels", seed, on_test=errors(count)) for seed, count in enumerate((150, 160, 500))]
    soft = [result("soft-16-T20", seed, on_test=errors(count)) for seed, count in enumerate((70, 78))]
    row = table(*labels, *soft)["labels alone, less soft targets at T 20"]
    assert (row.values, row.mean) == ((80.0, 82.0), 81.0)
    assert row.low == pytest.approx(81 - 12.706, abs=1e-3)


def test_threes_with_the_bias_chosen_on_validation_and_on_test_stand_apart() -> None:
    twin = result("no-3s-twin", 0, on_validation=errors(90), on_validation_shifted={"shift": 3.1, "errors": errors(50)})
    whole = result(
        "no-3s",
        0,
        on_test=errors(206, threes=133),
        on_test_shifted=ShiftedErrors(shift=3.1, errors=errors(111, threes=101)),
        on_test_shifted_by_itself=ShiftedErrors(shift=3.5, errors=errors(109, threes=14)),
    )
    rows = [(row.what, row.paper, row.mean) for row in table(twin, whole).values()]
    assert [(paper, mean) for _, paper, mean in rows] == [
        ("206", 206.0),
        ("133", 133.0),
        ("", 3.1),
        ("", 111.0),
        ("", 101.0),
        ("", pytest.approx(90.0)),  # 101 of 1,010 threes are wrong
        ("3.5", 3.5),
        ("109", 109.0),
        ("14", 14.0),
    ]
    assert ["the test images" in what for what, _, _ in rows] == [False] * 6 + [True] * 3


def test_sevens_and_eights_are_shares_of_all_images() -> None:
    whole = result(
        "only-7s-and-8s",
        0,
        on_test=errors(4_730),
        on_test_shifted=ShiftedErrors(shift=-7.0, errors=errors(1_400)),
        on_test_shifted_by_itself=ShiftedErrors(shift=-7.6, errors=errors(1_320)),
    )
    rows = [(row.paper, row.unit, round(row.mean, 6)) for row in table(whole).values()]
    assert rows == [("47.3", "%", 47.3), ("", "%", 14.0), ("-7.6", "", -7.6), ("13.2", "%", 13.2)]


def test_best_temperature_of_a_width_and_the_high_temperatures_farthest_apart() -> None:
    means = {"2": (100, 104), "8": (110, 118), "20": (120, 130)}
    results = [
        result(f"soft-4-T{temperature}", seed, on_test=errors(count))
        for temperature, counts in means.items()
        for seed, count in enumerate(counts)
    ]
    rows = table(*results)
    assert rows["4-4, T 8"].mean == 114.0
    assert rows["4-4, the T with the fewest errors on average"].mean == 2.0
    apart = rows["4-4, T 8 less T 20: the farthest apart of T 8 to 20"]
    assert apart.values == (-10.0, -12.0)
    assert "4-4, the T with the fewest errors on average" not in table(*results[:4])


def test_table_for_people() -> None:
    rows = [
        TableRow(what="a", unit="errors", paper="67", values=(60.0, 71.0), mean=65.5, low=-4.4, high=135.4),
        TableRow(what="b", unit="%", paper="", values=(13.24,), mean=13.24, low=None, high=None),
    ]
    assert markdown(rows).splitlines()[2:] == [
        "| a | 67 | 65.5 | -4.4 to 135.4 | 60, 71 |",
        "| b |  | 13.2 % |  | 13.2 % |",
    ]
