import pytest

from trainables.hardware.board_processes import (
    UtilizationSample,
    busy_by_pid,
    new_samples,
    num_others,
    utilization_fraction,
)


def test_only_samples_that_are_new_and_possible_are_taken() -> None:
    told = [UtilizationSample(7, at_us, percent) for at_us, percent in ((99, 50), (100, 60), (101, 70), (102, 101))]
    assert new_samples(told, after_us=100) == [told[2]]


def test_a_process_s_utilisation_is_the_mean_of_its_samples_and_its_time_their_sum() -> None:
    samples = [UtilizationSample(7, 100, 50), UtilizationSample(8, 100, 90), UtilizationSample(7, 200, 20)]
    assert utilization_fraction(samples, pid=7) == pytest.approx(0.35)
    assert utilization_fraction(samples, pid=9) is None
    assert utilization_fraction(samples, pid=None) is None
    assert busy_by_pid(samples) == pytest.approx({7: 0.7, 8: 0.9})


@pytest.mark.parametrize(
    ("pids", "pid", "others"),
    [
        ([7], 7, 0),
        ([5, 7, 9], 7, 2),
        ([5, 9], 7, None),  # a list that does not hold this process is not of what runs here
        ([], 7, None),
        (None, 7, None),
        ([5, 9], None, 1),
        ([], None, None),
    ],
)
def test_others_on_the_board_are_all_but_this_process(
    pids: list[int] | None, pid: int | None, others: int | None
) -> None:
    assert num_others(pids, pid=pid) == others
