"""A Keras 3 model whose smallest weights are zero: a smaller archive, as the image carries it.

A zero takes as much room in a .tflite file as any number, and next to none once compressed. Of each
layer the same share is taken, so that none is emptied. Only kernels count, of dense, convolutional
and recurrent layers and of embeddings: biases and norms are few and carry scale, and a depthwise
kernel has 9 numbers a channel, none of them to spare.

With training data the share rises in a cubic ramp over the first 60 % of the steps, fast while
there is much to spare, and the weights that are left make up for those that went.
"""

import contextlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert import keras_file, score
from convert.data import Examples
from convert.errors import DataError, ModelError, first_sentence
from convert.load import Source, load
from convert.metric import Task
from convert.screen import Kind

SEED = 66
_KERNELS = ("kernel", "recurrent_kernel", "pointwise_kernel", "embeddings")
_BATCH = 32
_STEPS = 1500
_MOST_EPOCHS = 60
_RAMP = 0.6
_STAGES = 20
_RATE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a model is fine-tuned on.

    Attributes:
        examples: Inputs and targets; they fit the signature.
        task: What the targets mean.
        loss: The one that the model was compiled with, see `stated_loss`; None when it says none.
    """

    examples: Examples
    task: Task
    loss: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was done.

    Attributes:
        sparsity: The share of zeros among the kernels' numbers, counted.
        epochs: Passes over the training data; 0 when weights were only cut off.
        loss: What was trained for; None without training.
    """

    sparsity: float
    epochs: int
    loss: str | None

    def __str__(self) -> str:
        if self.loss is None:
            how = "cut off at once, for want of training data"
        else:
            how = f"fine-tuned for {self.epochs} epochs on {self.loss}"
        return f"{self.sparsity:.1%} of the kernels' weights are zero, {how}"

    def to_json(self) -> dict[str, Any]:
        """Renders a candidate's `pruned` in report.json."""
        return {"sparsity": round(self.sparsity, 6), "epochs": self.epochs, "loss": self.loss}


def load_pruned(
    path: Path, scratch: Path, share: float, training: Training | None
) -> tuple[Source, Pruned]:
    """Reads a model as `convert.load` does, and prunes it before it is converted.

    Args:
        path: A .keras or .h5 file.
        scratch: An empty folder to work in.
        share: See `prune`.
        training: See `prune`.

    Returns:
        A source whose `original` is the pruned model; and what was done.

    Raises:
        InputError: As `load` and `prune` have it.
    """
    done: list[Pruned] = []
    source = load(path, scratch, change=lambda it: done.append(prune(it, share, training)))
    return source, done[0]


def prune(
    model: Any,  # noqa: ANN401  Keras publishes no types
    share: float,
    training: Training | None,
    seed: int = SEED,
) -> Pruned:
    """Makes the smallest weights of each kernel zero, in the model itself.

    Args:
        model: A Keras 3 model, loaded without compiling.
        share: Of each kernel's weights, above 0 and below 1.
        training: What to fine-tune on; None cuts off at once.
        seed: The same one gives the same weights.

    Raises:
        ModelError: The model has no kernels, or training it diverges.
        DataError: The training data do not fit the model or its loss.
    """
    import keras

    keras.utils.set_random_seed(seed)
    kernels = _kernels(model)
    if not kernels:
        raise ModelError("no layer has a kernel, so there is nothing to prune: leave +prune out")
    epochs, name = 0, None
    if training is None:
        _cut(kernels, share)
    else:
        epochs, name = _tune(model, kernels, share, training, seed)
    values = [np.asarray(kernel) for kernel in kernels]
    if not all(np.isfinite(value).all() for value in values):
        raise ModelError("fine-tuning diverged (NaN weights): is the training data scaled?")
    zeros = sum(int((value == 0).sum()) for value in values)
    return Pruned(sparsity=zeros / sum(value.size for value in values), epochs=epochs, loss=name)


def stated_loss(path: Path, kind: Kind) -> Any:  # noqa: ANN401  a name or a mapping, as Keras has it
    """Reads the loss that a .keras or .h5 file was compiled with; None when that says none.

    A loss of the author's own is None as well: its code is not here.
    """
    if kind is Kind.KERAS:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("config.json")).get("compile_config")
    else:
        import h5py

        with h5py.File(path, "r") as file:
            settings = json.loads(file.attrs.get("training_config", "null"))
    loss = settings.get("loss") if isinstance(settings, dict) else None
    if isinstance(loss, dict) and loss.get("class_name") == "function":
        loss = loss.get("config")
    return loss if _is_of_keras(loss) else None


def _is_of_keras(loss: object) -> bool:
    if isinstance(loss, str):
        import keras

        with contextlib.suppress(ValueError):
            return ">" not in loss and keras.losses.get(loss) is not None
        return False
    if not isinstance(loss, dict) or not isinstance(loss.get("class_name"), str):
        return False  # one loss for each output has no class name
    module, name = loss.get("module", "keras.losses"), loss.get("registered_name")
    return module == "keras.losses" and ">" not in (name or loss["class_name"])


def _kernels(model: Any) -> list[Any]:  # noqa: ANN401  see prune
    spared = _depthwise(model)
    return [
        weight
        for weight in model.variables
        if weight.name in _KERNELS and len(weight.shape) > 1 and id(weight) not in spared
    ]


def _depthwise(layer: Any) -> set[int]:  # noqa: ANN401  see prune
    """The depthwise kernels of a layer and of those inside it, by identity."""
    from keras.layers import DepthwiseConv1D, DepthwiseConv2D

    if isinstance(layer, (DepthwiseConv1D, DepthwiseConv2D)):
        return {id(layer.kernel)}
    inside = [*getattr(layer, "layers", ()), getattr(layer, "layer", None)]
    return {kernel for one in inside if one is not None for kernel in _depthwise(one)}


def _cut(kernels: list[Any], share: float) -> list[npt.NDArray[np.bool_]]:
    """Makes the share zero; returns what is left standing. Of two alike the earlier one goes."""
    left = []
    for kernel in kernels:
        values = np.asarray(kernel)
        order = np.argsort(np.abs(values), axis=None, kind="stable")
        keep = np.ones(values.size, bool)
        keep[order[: round(share * values.size)]] = False
        left.append(keep.reshape(values.shape))
        kernel.assign(values * left[-1])
    return left


def _tune(
    model: Any,  # noqa: ANN401  see prune
    kernels: list[Any],
    share: float,
    training: Training,
    seed: int,
) -> tuple[int, str]:
    """Trains while the share rises; returns the epochs and the loss's name."""
    import keras

    loss = _loss(model, training)
    _check_chances(loss, training.examples)
    rows = training.examples.rows
    each = -(-rows // _BATCH)
    epochs = min(_MOST_EPOCHS, max(2, _STEPS // each))
    steps = epochs * each
    ramp = max(1, int(steps * _RAMP))
    every = max(1, ramp // _STAGES)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    try:
        targets = _targets(loss, model, training.examples)
        # Compiling for the machine at hand takes longer than most models' training.
        model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, jit_compile=False)
        order, left, step = np.random.default_rng(seed), _cut(kernels, 0.0), 0
        for _ in range(epochs):
            mixed = order.permutation(rows)
            for start in range(0, rows, _BATCH):
                chosen = mixed[start : start + _BATCH]
                model.train_on_batch(_call(model, training.examples, chosen), targets[chosen])
                step += 1
                if step <= ramp and (step % every == 0 or step == ramp):
                    left = _cut(kernels, share * (1 - (1 - step / ramp) ** 3))
                else:
                    for kernel, keep in zip(kernels, left, strict=True):
                        kernel.assign(np.asarray(kernel) * keep)
    except Exception as error:  # layers and losses raise whatever they like
        raise DataError(
            f"{training.examples.path}: the model cannot be trained on it "
            f"(loss {_name(loss)}): {first_sentence(error)}"
        ) from error
    return epochs, _name(loss)


def _call(model: Any, examples: Examples, rows: Any) -> Any:  # noqa: ANN401  see prune
    """Some rows of the inputs, nested as the model wants them."""
    import keras

    taken = keras_file.ends(model)[0]
    if len(model.inputs) == 1:
        [array] = examples.inputs.values()
        return keras.tree.map_structure(lambda _: array[rows], taken)
    return keras.tree.map_structure(lambda it: examples.inputs[it.name][rows], taken)


def _loss(model: Any, training: Training) -> Any:  # noqa: ANN401  see prune
    """The stated loss, else the task's usual one."""
    import keras

    if training.loss is not None:
        return keras.losses.get(training.loss)
    if training.task is Task.REGRESSION:
        return keras.losses.MeanSquaredError()
    answered = model.predict_on_batch(_call(model, training.examples, slice(_BATCH)))
    [given] = map(np.asarray, keras.tree.flatten(answered))  # it may be in a dict or a list
    # Read off the answers, for the activation that makes them may be in any layer.
    logits = score.are_logits(given)
    if given.ndim == 1 or given.shape[-1] == 1:
        return keras.losses.BinaryCrossentropy(from_logits=logits)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _name(loss: Any) -> str:  # noqa: ANN401  see prune
    return str(getattr(loss, "name", None) or loss.__name__)


def _check_chances(loss: Any, examples: Examples) -> None:  # noqa: ANN401  see prune
    """Refuses targets that are no chances where the loss takes any number for one.

    Raises:
        DataError: There are some.
    """
    targets = np.asarray(examples.targets)
    low, high = targets.min(), targets.max()
    if _name(loss).startswith("binary_") and (low < 0 or high > 1):
        raise DataError(
            f"{examples.path}: `y` goes from {low:g} to {high:g}: expected 0 to 1, since the model "
            f"is trained by the loss {_name(loss)}"
        )


def _targets(loss: Any, model: Any, examples: Examples) -> npt.NDArray[Any]:  # noqa: ANN401  see prune
    """Class numbers as they are for a sparse loss, else one-hot; quantities as they are."""
    import keras

    targets = np.asarray(examples.targets)
    shape = model.outputs[0].shape
    classes = targets.dtype.kind in "iub" and targets.ndim == len(shape) - 1
    if classes and shape[-1] > 1 and not _name(loss).startswith("sparse"):
        return np.asarray(keras.utils.to_categorical(targets, shape[-1]))
    return targets
