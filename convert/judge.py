"""What candidates are held against: some rows, and what the original made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from convert import data, own_metric, request, score, synthetic, way
from convert.answers import Array, Arrays, Model, answers
from convert.errors import ConvertError, DataError, ModelError
from convert.load import Source
from convert.metric import Kind, Metric, Task
from convert.request import Request
from convert.score import OutputScore, WorstClass
from convert.signature import Signature
from convert.way import Way


class Basis(StrEnum):
    """Where the rows come from. Only held-out rows with targets say how good a model is."""

    EVALUATION = "evaluation"
    """Held-out rows with targets."""
    CALIBRATION = "calibration"
    """Example inputs, which the scales of activations are fixed on as well."""
    SYNTHETIC = "synthetic"
    """Made-up numbers."""

    @property
    def rows_called(self) -> str:
        """What reports call the rows."""
        return "held-out" if self is Basis.EVALUATION else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a judge finds.

    Attributes:
        metric: None without targets.
        agreement: Of the output that agrees least.
        outputs: Each.
        worst: None unless targets are classes.
    """

    metric: float | None
    agreement: float
    outputs: tuple[OutputScore, ...]
    worst: WorstClass | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Rows, and what the original made of them.

    Attributes:
        basis: Where the rows come from.
        path: The same, for messages.
        signature: The model's.
        inputs: The rows.
        given: The original's answers, every output by name.
        ways: What agreeing means, by output.
        metric: None without targets.
        output: Whose targets there are; None without.
        targets: None without; as `score.check_targets` makes them, or as the file has them where
            the metric is the user's own.
    """

    basis: Basis
    path: Path
    signature: Signature
    inputs: Arrays
    given: Arrays
    ways: Mapping[str, Way]
    metric: Metric | None = None
    output: str | None = None
    targets: Array | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.inputs.values())))

    def score(self, model: Model) -> Scores:
        """Judges a model.

        Raises:
            DataError: The user's own metric fails.
            ModelError: The model cannot run on the rows, or answers NaN or infinite, or in another
                shape than the original.
        """
        found = answers(model, self.inputs, self.signature, self.path)
        refuse_infinite(found, self.basis)
        outputs = tuple(
            score.compare(name, self.ways[name], self.given[name], found[name], self._above(name))
            for name in self.given
        )
        return Scores(
            metric=self.measure(found),
            agreement=min(one.agreement for one in outputs),
            outputs=outputs,
            worst=self._worst(found),
        )

    def agreeing(self) -> dict[str, str]:
        """Says of each output when an answer is the original's."""
        return {
            name: way.told(self.ways[name], array, self._above(name))
            for name, array in self.given.items()
        }

    def measure(self, found: Mapping[str, Array]) -> float | None:
        """Computes the metric of some answers; the user's own only in a worker.

        Raises:
            DataError: The user's own metric fails.
        """
        if self.metric is None or self.output is None or self.targets is None:
            return None
        if self.metric.kind is Kind.FUNCTION:
            return own_metric.measure(self.metric, found[self.output], self.targets)
        above = self._above(self.output)
        return score.measure(self.metric, found[self.output], self.targets, above)

    def _above(self, name: str) -> float:
        classes = self.metric is not None and self.metric.task is Task.CLASSIFICATION
        targets = self.targets if classes and name == self.output else None
        return score.threshold(self.given[name], targets)

    def _worst(self, found: Mapping[str, Array]) -> WorstClass | None:
        if self.metric is None or self.metric.task is not Task.CLASSIFICATION:
            return None
        assert self.output is not None  # noqa: S101  a metric has targets
        assert self.targets is not None  # noqa: S101
        return score.worst_class(self.given[self.output], found[self.output], self.targets)


def refuse_infinite(found: Mapping[str, Array], basis: Basis) -> None:
    """Refuses answers that are no numbers.

    Raises:
        ModelError: There are some; the output is named.
    """
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise ModelError(
                f"answers NaN or infinite on the {basis} data"
                + (f" (output {name!r})" if len(found) > 1 else "")
            )


def prepare(asked: Request, source: Source) -> Judge | None:
    """Asks the original.

    Returns:
        A judge; None where there is nothing to judge by, and nobody wanted to.

    Raises:
        InputError: The data does not fit the model, or something wanted cannot be judged.
    """
    if asked.evaluation is not None:
        return _with_targets(asked, source)
    if asked.calibration is not None:
        rows = data.fit(asked.calibration, source.signature)
        return _without(asked, source, Basis.CALIBRATION, rows.inputs, rows.path)
    made = synthetic.inputs(source.signature, asked.card.picture)
    if made is None:
        if asked.budget.min_agreement is None:
            return None
        raise DataError(
            "min_agreement needs inputs to compare on, and the model's inputs have free "
            "dimensions, for which none can be made up: give --calibration, .npz, .csv or pictures"
        )
    try:
        return _without(asked, source, Basis.SYNTHETIC, made, Path("synthetic inputs"))
    except ConvertError as error:
        if asked.budget.min_agreement is None:
            return None  # made-up numbers prove nothing against a model either
        raise DataError(
            f"min_agreement cannot be judged on made-up inputs ({error}): give "
            "--calibration, .npz, .csv or pictures, with inputs that make sense"
        ) from error


def _with_targets(asked: Request, source: Source) -> Judge:
    assert asked.evaluation is not None  # noqa: S101  so the caller found
    examples = data.fit(asked.evaluation, source.signature)
    assert examples.output is not None  # noqa: S101  evaluation data is read with targets
    assert examples.targets is not None  # noqa: S101
    task, metric = request.judged_by(asked.card, examples.output, score.task_of(examples))
    given = _ask(asked, source, Basis.EVALUATION, examples.inputs, examples.path)
    targets, judged = examples.targets, given[examples.output]
    ways = _ways(asked, source, given, examples.output)
    if metric.kind is not Kind.FUNCTION:
        score.check_metric(metric, examples.output, judged)
        targets = score.check_targets(examples, task, judged)
        ways[examples.output] = way.of_task(task, judged)
    elif task is Task.REGRESSION or score.are_classes(targets, judged):
        # The user's own metric takes whole numbers that are prices, or one-hot rows, as well.
        ways[examples.output] = way.of_task(task, judged)
    return Judge(
        basis=Basis.EVALUATION,
        path=examples.path,
        signature=source.signature,
        inputs=examples.inputs,
        given=given,
        ways=ways,
        metric=metric,
        output=examples.output,
        targets=targets,
    )


def _without(asked: Request, source: Source, basis: Basis, inputs: Arrays, path: Path) -> Judge:
    given = _ask(asked, source, basis, inputs, path)
    return Judge(
        basis=basis,
        path=path,
        signature=source.signature,
        inputs=inputs,
        given=given,
        ways=_ways(asked, source, given),
    )


def _ways(
    asked: Request, source: Source, given: Arrays, judged: str | None = None
) -> dict[str, Way]:
    about, made = asked.card, way.sigmoids(source.float_model, source.signature)
    return {
        name: way.settle(
            array,
            about.task_of(name),
            sigmoid=name in made,
            sure=len(given) == 1 or name == judged or name in about.tasks,
        )
        for name, array in given.items()
    }


def _ask(asked: Request, source: Source, basis: Basis, inputs: Arrays, path: Path) -> Arrays:
    given = answers(source.original, inputs, source.signature, path)
    try:
        refuse_infinite(given, basis)
    except ModelError as error:
        raise ModelError(f"{asked.card.model}: {error}") from error
    return given
