"""The float models that candidates are made of: the one given, and that one pruned."""

from collections.abc import Callable
from pathlib import Path

from convert import data, prune, screen
from convert.errors import DataError
from convert.load import Source
from convert.prune import Pruned, Training
from convert.quiet import quiet
from convert.request import Request
from convert.score import task_of


def make(
    asked: Request, source: Source, scratch: Path, say: Callable[[str], None]
) -> tuple[dict[int, bytes], dict[int, Pruned]]:
    """Prunes as often as the plan has another share in it.

    Args:
        asked: The request.
        source: The model given.
        scratch: A folder to work in.
        say: Gets a line for each share.

    Returns:
        Float models by per cent pruned, the given one at 0; and what was done for the others.

    Raises:
        InputError: The training data do not fit, or there is nothing to prune.
    """
    models, done = {0: source.float_model}, dict[int, Pruned]()
    shares = sorted({recipe.pruned for recipe in asked.plan.tried} - {0})
    training = _training(asked, source) if shares else None
    for share in shares:
        say(f"pruning {share} %" + (" and fine-tuning" if training else ""))
        folder = scratch / f"pruned{share}"
        folder.mkdir()
        with quiet():
            made, done[share] = prune.load_pruned(asked.card.model, folder, share / 100, training)
        models[share] = made.float_model
    return models, done


def check_training(asked: Request, source: Source) -> None:
    """Holds the training data against the model, as far as that goes without training.

    Raises:
        DataError: They do not fit, or the model has outputs that there would be no targets for.
    """
    if asked.training is None:
        return
    examples, count = data.fit(asked.training, source.signature), len(source.signature.outputs)
    if count != 1 and any(recipe.pruned for recipe in asked.plan.tried):
        raise DataError(
            f"{examples.path}: the model has {count} outputs and `y` belongs to one: leave the "
            "training data out, and weights are cut off without fine-tuning"
        )


def _training(asked: Request, source: Source) -> Training | None:
    if asked.training is None:
        return None
    examples = data.fit(asked.training, source.signature)
    assert examples.output is not None  # noqa: S101  training data is read with targets
    path = asked.card.model
    return Training(
        examples=examples,
        task=asked.card.task_of(examples.output) or task_of(examples),
        loss=prune.stated_loss(path, screen.kind_of(path)),
    )
