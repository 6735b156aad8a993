"""The arithmetic of scores, on numbers that can be checked by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import metric, score
from convert.data import Examples
from convert.errors import CardError, DataError, ModelError
from convert.metric import Task
from convert.way import Way

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])


def examples(targets: Any) -> Examples:
    """Evaluation data of which only the targets matter."""
    return Examples(path=Path("e.npz"), inputs={"x": np.zeros((4, 1))}, targets=np.array(targets))


def test_accuracy_is_the_share_of_right_classes() -> None:
    """Three of four right is 0.75."""
    assert 0.75 == score.measure(metric.ACCURACY, SCORES, np.array([0, 1, 0, 0]))


def test_one_probability_means_the_second_class() -> None:
    """A sigmoid above one half is class 1."""
    given = np.array([[0.9], [0.1], [0.6]])
    assert 1.0 == score.measure(metric.ACCURACY, given, np.array([1, 0, 1]))


@pytest.mark.parametrize(
    ("given", "expected"), [([0.0, 1.0], 0.5), ([-0.1, 0.2], 0.0), ([2.0], 0.0)]
)
def test_threshold_of_logits_is_zero(given: list[float], expected: float) -> None:
    """A number that no probability can be makes 0 the middle, where it is one half else."""
    assert expected == score.threshold(np.array(given))


@pytest.mark.parametrize(("targets", "expected"), [([0, 0, 0, 1], 0.5), ([0, 1, 1, 1], 0.0)])
def test_targets_tell_logits_from_a_line(targets: list[int], expected: float) -> None:
    """A layer without activation, trained to answer 0 and 1, goes a little beyond both."""
    given = np.array([[-0.1], [0.2], [0.4], [1.1]])

    assert expected == score.threshold(given, np.array(targets))


def test_original_says_what_a_lone_score_means() -> None:
    """Logits that rounding moved into 0 to 1 are still logits: two of four changed their class."""
    original = np.array([[-2.0], [0.3], [1.5], [-0.1]])
    candidate, targets = np.array([[0.1], [0.3], [0.9], [0.2]]), np.array([0, 1, 1, 0])
    assert 0.5 == score.agreement(Way.CLASS, original, candidate)
    lost = score.worst_class(original, candidate, targets)
    assert score.WorstClass(number=0, drop=1.0, rows=2) == lost


def test_one_number_a_row_is_a_lone_score() -> None:
    """Rows of one probability each, without an axis for it, are judged one by one."""
    given = np.array([0.9, 0.1, 0.6, 0.2])
    assert 0.75 == score.measure(metric.ACCURACY, given, np.array([1, 0, 1, 1]))
    assert 0.75 == score.agreement(Way.CLASS, given, np.array([0.9, 0.1, 0.4, 0.2]))
    fitted = score.check_targets(examples([[1], [0], [1], [1]]), Task.CLASSIFICATION, given)
    assert [1, 0, 1, 1] == fitted.tolist()
    with pytest.raises(CardError, match="lone score"):
        score.check_metric(metric.top(1), "s", given)


def test_one_whole_number_a_row_is_the_class() -> None:
    """Class numbers agree where they are equal, and are no scores to judge by targets."""
    given = np.array([7, 0, 2, 2])
    assert 0.75 == score.agreement(Way.CLASS, given, np.array([7, 0, 2, 1]))
    with pytest.raises(
        DataError, match=r"the model answers int64 of shape \(4,\): expected scores"
    ):
        score.check_targets(examples([7, 0, 2, 1]), Task.CLASSIFICATION, given)


def test_errors_are_means() -> None:
    """Errors of 1 and 3: mse 5, mae 2."""
    given, targets = np.array([1.0, 3.0]), np.array([0.0, 0.0])
    assert 5.0 == score.measure(metric.MSE, given, targets)
    assert 2.0 == score.measure(metric.MAE, given, targets)


def test_drop_of_accuracy_is_the_difference() -> None:
    """From 0.9 to 0.8 is a drop of 0.1; upwards is negative."""
    assert 0.1 == pytest.approx(score.drop(metric.ACCURACY, 0.9, 0.8, np.zeros(1)))
    assert -0.1 == pytest.approx(score.drop(metric.ACCURACY, 0.8, 0.9, np.zeros(1)))


def test_drop_of_error_has_no_unit() -> None:
    """The same model in another unit drops by the same share."""
    metres, millimetres = np.array([1.0, 3.0]), np.array([1000.0, 3000.0])
    assert 0.5 == score.drop(metric.MSE, 1.0, 1.5, metres)
    assert 0.5 == score.drop(metric.MSE, 1.0e6, 1.5e6, millimetres)
    assert 0.5 == score.drop(metric.MAE, 1.0, 1.5, metres)


def test_columns_of_different_sizes_are_guessed_each_by_itself() -> None:
    """What a guess of one number for all columns errs by would hide any rise."""
    targets = np.array([[1000.0, 1.0], [1002.0, 3.0]])
    assert 1.0 == score.constant_guess(metric.MSE, targets)
    assert 1.0 == score.constant_guess(metric.MAE, targets)
    assert 0.5 == score.drop(metric.MSE, 1.0, 1.5, targets)


def test_small_numbers_beside_large_ones_must_agree_too() -> None:
    """A column that lost all it said is half of the answers, whatever the size of the other."""
    original = np.array([[300_000.0, 2.0], [200_000.0, 4.0], [250_000.0, 3.0]])
    candidate = original * [1, 0]
    assert 0.5 == score.agreement(Way.NUMBER, original, candidate)


def test_column_that_is_always_alike_agrees_by_its_size() -> None:
    """Of a number that never changes 1 % of itself is near; of one that is 0, a hundredth."""
    original = np.array([[5.0, 50.0, 0.0], [6.0, 50.0, 0.0]])
    assert 1.0 == score.agreement(Way.NUMBER, original, original + np.array([0.009, 0.4, 0.009]))
    assert 0.0 == score.agreement(Way.NUMBER, original, original + np.array([0.011, 0.6, 0.011]))


def test_agreement_of_classes() -> None:
    """Three of four classes alike agree by 0.75, whatever the scores."""
    other = SCORES.copy()
    other[3] = [0.51, 0.49]
    assert 0.75 == score.agreement(Way.CLASS, SCORES, other)


def test_agreement_of_quantities() -> None:
    """Answers within 1 % of the spread agree."""
    original = np.array([0.0, 50.0, 100.0, 100.0])
    assert 0.75 == score.agreement(Way.NUMBER, original, original + np.array([0.9, -0.9, 0.0, 1.1]))


def test_targets_take_the_answers_shape() -> None:
    """Class numbers in a column fit scores in rows."""
    fitted = score.check_targets(examples([[0], [1], [0], [1]]), Task.CLASSIFICATION, SCORES)
    assert [0, 1, 0, 1] == fitted.tolist()


@pytest.mark.parametrize(
    ("task", "given"),
    [(Task.REGRESSION, (2, 3, 2)), (Task.CLASSIFICATION, (2, 3, 2, 5))],
)
def test_a_line_of_a_table_takes_the_answers_shape(task: Task, given: tuple[int, ...]) -> None:
    """A .csv file has a row's targets side by side, whatever the shape of the answers."""
    lines = Examples(
        path=Path("data.csv"), inputs={}, targets=np.arange(12).reshape(2, 6) % 5, typed=False
    )

    fitted = score.check_targets(lines, task, np.zeros(given, np.float32))

    assert (2, 3, 2) == fitted.shape
    assert (np.arange(12) % 5).tolist() == fitted.flatten().tolist()


@pytest.mark.parametrize(
    ("task", "targets", "given"),
    [
        (Task.REGRESSION, (4, 2, 3), (4, 3, 2)),
        (Task.REGRESSION, (4, 6), (4, 3, 2)),
        (Task.CLASSIFICATION, (4, 2, 3), (4, 3, 2, 5)),
    ],
)
def test_as_many_targets_in_another_order(
    task: Task, targets: tuple[int, ...], given: tuple[int, ...]
) -> None:
    """Targets of the answers' size and another shape would be held against other answers."""
    with pytest.raises(DataError) as caught:
        score.check_targets(examples(np.zeros(targets, int)), task, np.zeros(given))
    assert f"shape {targets}" in str(caught.value)


def test_class_numbers_in_float_are_told_a_way_out() -> None:
    """Whole numbers in float are taken for quantities, and the refusal says how to mend that."""
    with pytest.raises(DataError, match=r"in float: y\.astype\(int\)"):
        score.check_targets(examples([0.0, 1.0, 1.0, 0.0]), Task.CLASSIFICATION, SCORES)
    with pytest.raises(DataError, match=r"for class numbers: y\.astype\(int\)"):
        score.check_targets(examples([0.0, 1.0, 1.0, 0.0]), Task.REGRESSION, SCORES)
    with pytest.raises(DataError) as caught:
        score.check_targets(examples([0.5, 1.0, 1.0, 0.0]), Task.REGRESSION, SCORES)
    assert "astype" not in str(caught.value)


def test_axes_of_length_one_do_not_matter() -> None:
    """Quantities in a row fit answers in a column."""
    fitted = score.check_targets(examples([1.0, 2.0]), Task.REGRESSION, np.zeros((2, 1, 1)))
    assert [[[1.0]], [[2.0]]] == fitted.tolist()


@pytest.mark.parametrize(
    ("targets", "given", "expected"),
    [
        ([0, 1, 1, 0], np.zeros((4, 1)), True),
        ([0, 1, 2, 0], np.zeros((4, 3)), True),
        ([310, 250, 470, 90], np.zeros((4, 1)), False),
        ([0, -1, 1, 0], np.zeros((4, 1)), False),
        ([0.0, 1.0, 1.0, 0.0], np.zeros((4, 1)), False),
        (np.eye(4, dtype=int), np.zeros((4, 4)), False),
    ],
)
def test_class_numbers_are_told_from_other_targets(
    targets: Any, given: Any, *, expected: bool
) -> None:
    """Whole numbers are classes where each is a class that the answers have a score for."""
    assert expected is score.are_classes(np.array(targets), given)


def test_second_class_is_the_last_of_one_probability() -> None:
    """Class 2 of a sigmoid is refused."""
    with pytest.raises(DataError, match="knows 0 to 1"):
        score.check_targets(examples([0, 1, 2, 0]), Task.CLASSIFICATION, np.zeros((4, 1)))


def test_whole_quantities_are_told_a_way_out() -> None:
    """Prices in whole numbers look like classes; the refusal names the setting that says more."""
    with pytest.raises(DataError, match=r"from 90 to 470: .* whole quantities: `metric: mse`"):
        score.check_targets(examples([310, 250, 470, 90]), Task.CLASSIFICATION, np.zeros((4, 1)))


def test_top_k_counts_the_best_k() -> None:
    """The right class is second in two of three rows: top2 is 1, top1 a third."""
    given = np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2], [0.5, 0.3, 0.2]])
    targets = np.array([0, 0, 1])
    assert 1.0 == score.measure(metric.top(2), given, targets)
    assert 1 / 3 == score.measure(metric.top(1), given, targets)


@pytest.mark.parametrize(
    ("k", "classes", "fault"),
    [
        (5, 3, "metric: top5: output 's' has 3 classes, and the right one is always"),
        (3, 3, "expected accuracy, or a topK with K below 3"),
        (1, 1, "metric: top1: output 's' has a lone score for 2 classes"),
        (2, 1, "expected accuracy, f1 or mean_iou"),
    ],
)
def test_top_k_that_cannot_fail(k: int, classes: int, fault: str) -> None:
    """K that is not below the number of classes is refused, and any K where there is one score."""
    with pytest.raises(CardError, match=fault):
        score.check_metric(metric.top(k), "s", np.zeros((4, classes)))


def test_top_k_below_the_number_of_classes() -> None:
    """K of one class less can fail, and is taken."""
    score.check_metric(metric.top(2), "s", np.zeros((4, 3)))


def test_f1_is_the_mean_over_classes() -> None:
    """Class 0: 2 hits, 3 said, 2 right, so 0.8; class 1: 1 hit, 1 said, 2 right, so 2/3."""
    said = np.eye(2)[[0, 0, 0, 1]]
    targets = np.array([0, 0, 1, 1])
    assert pytest.approx((0.8 + 2 / 3) / 2) == score.measure(metric.F1, said, targets)


def test_mean_iou_is_of_positions() -> None:
    """Of 2 x 2 pixels class 0 has 2 of 3 in common, class 1 has 1 of 2."""
    said = np.eye(2)[[[[0, 0], [0, 1]]]]
    targets = np.array([[[0, 0], [1, 1]]])
    assert pytest.approx((2 / 3 + 1 / 2) / 2) == score.measure(metric.MEAN_IOU, said, targets)


def test_limit_is_where_the_drop_is_the_budget() -> None:
    """The metric's value at the limit drops by just as much as allowed, whichever way is better."""
    targets = np.array([1.0, 5.0])  # a drop of 1 is 4 by mse and 2 by mae
    for one in (metric.ACCURACY, metric.MSE, metric.MAE):
        value = score.limit(one, 0.5, 0.1, targets)
        assert 0.1 == pytest.approx(score.drop(one, 0.5, value, targets))


def test_worst_class_is_the_one_that_lost_most() -> None:
    """Class 1 loses one row of two; class 0 loses none of its two."""
    right, wrong = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[0, 0, 1, 0]]
    found = score.worst_class(right, wrong, np.array([0, 0, 1, 1]))
    assert score.WorstClass(number=1, drop=0.5, rows=2) == found


def test_errors_of_an_output() -> None:
    """The largest difference, and its share of the largest magnitude."""
    found = score.compare("y", Way.NUMBER, np.array([-4.0, 1.0]), np.array([-4.0, 1.5]))
    assert (0.5, 0.125, 0.5) == (found.max_abs_error, found.max_relative_error, found.agreement)


@pytest.mark.parametrize("way", Way)
def test_no_answers_agree(way: Way) -> None:
    """Where the original answers nothing, as a detector that finds none, nothing differs."""
    nothing = np.zeros((0, 4))
    assert 1.0 == score.agreement(way, nothing, nothing)


def test_answers_of_another_shape_are_not_compared() -> None:
    """One box found where the original finds three is an error, not spread over the three."""
    with pytest.raises(ModelError, match=r"'boxes' in shape \(1, 4\).* original's \(3, 4\)"):
        score.compare("boxes", Way.NUMBER, np.zeros((3, 4)), np.zeros((1, 4)))


def test_agreement_of_labels() -> None:
    """One label of a row on the other side of one half makes the row another answer."""
    original = np.array([[0.9, 0.8, 0.1], [0.6, 0.2, 0.1]])
    moved = np.array([[0.7, 0.9, 0.4], [0.6, 0.51, 0.1]])

    assert 0.5 == score.agreement(Way.LABELS, original, moved)
