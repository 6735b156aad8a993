"""Pruned models: which weights are zero, what fine-tuning saves, what is refused."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert import prune, recipe, signature
from convert.data import Examples
from convert.errors import DataError, OptionError
from convert.metric import Task
from convert.prune import Training
from convert.recipe import Recipe
from convert.screen import Kind

FEATURES = 8


def network() -> Any:
    """A classifier, untrained."""
    keras.utils.set_random_seed(66)
    start = keras.Input((FEATURES,), name="features")
    hidden = keras.layers.Dense(32, activation="relu", name="hidden")(start)
    return keras.Model(start, keras.layers.Dense(3, activation="softmax", name="scores")(hidden))


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    """Three classes, told by the sign of two features' product and the size of a third."""
    x = np.random.default_rng(66).normal(size=(384, FEATURES)).astype(np.float32)
    return x, np.where(x[:, 2] > 0.5, 2, x[:, 0] * x[:, 1] > 0).astype(np.int64)


@pytest.fixture(scope="module")
def trained(data: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier, trained and compiled, as a file."""
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, jit_compile=False)
    model.fit(*data, epochs=25, verbose=0)
    path: Path = tmp_path_factory.mktemp("trained") / "model.keras"
    model.save(path)
    return path


def training(data: tuple[Any, Any], **changes: Any) -> Training:
    """The data, to be trained on."""
    x, y = data
    examples = Examples(path=Path("train.npz"), inputs={"features": x}, targets=y)
    return Training(**{"examples": examples, "task": Task.CLASSIFICATION, "loss": None, **changes})


def right(model: Any, data: tuple[Any, Any]) -> float:
    """The share of right answers."""
    x, y = data
    return float((model.predict(x, verbose=0).argmax(axis=1) == y).mean())


def test_share_of_every_kernel_is_zero() -> None:
    """Each kernel loses its smallest weights, inside attention and recurrent layers as well."""
    start = keras.Input((6, 4), name="steps")
    hidden = keras.layers.MultiHeadAttention(2, 4)(start, start)
    hidden = keras.layers.Bidirectional(keras.layers.GRU(8))(hidden)
    model = keras.Model(start, keras.layers.Dense(5)(hidden))
    before = [np.asarray(weight) for weight in model.weights]
    done = prune.prune(model, 0.75, None)
    kernels = 0
    for weight, was in zip(model.weights, before, strict=True):
        now = np.asarray(weight)
        if weight.name in ("kernel", "recurrent_kernel"):
            kernels += 1
            assert round(0.75 * was.size) == (now == 0).sum()
            assert np.abs(was[now == 0]).max() <= np.abs(was[now != 0]).min()
        else:
            np.testing.assert_array_equal(was, now)
    assert 4 + 2 * 2 + 1 == kernels
    assert (0, None) == (done.epochs, done.loss)
    assert pytest.approx(0.75, abs=0.01) == done.sparsity
    assert "cut off at once, for want of training data" in str(done)


def test_depthwise_kernels_are_spared() -> None:
    """A depthwise kernel keeps its few numbers, in a nested model too; pointwise ones lose some."""
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(3)])
    model = keras.Sequential([keras.Input((8, 8, 4)), inner, keras.layers.SeparableConv2D(4, 3)])
    prune.prune(model, 0.5, None)
    zeros = {weight.path.split("/")[-1]: 0 for weight in model.weights} | {
        weight.path.split("/")[-1]: int((np.asarray(weight) == 0).sum())
        for weight in model.weights
        if weight.name != "bias"
    }
    assert (0, 0, 8) == (zeros["kernel"], zeros["depthwise_kernel"], zeros["pointwise_kernel"])


def test_fine_tuning_saves_what_cutting_loses(trained: Path, data: tuple[Any, Any]) -> None:
    """At 90 % the fine-tuned model is right more often, and as sparse as asked."""
    cut, tuned = keras.models.load_model(trained), keras.models.load_model(trained)
    whole = right(cut, data)
    prune.prune(cut, 0.9, None)
    done = prune.prune(tuned, 0.9, training(data))
    assert whole > 0.9
    assert right(cut, data) + 0.05 < right(tuned, data)
    assert pytest.approx(0.9, abs=0.01) == done.sparsity
    assert "sparse_categorical_crossentropy" == done.loss


def test_sequential_is_fine_tuned(tmp_path: Path, data: tuple[Any, Any]) -> None:
    """One that was read from a file, for which Keras has no `input`."""
    x, _ = data
    keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Flatten(), keras.layers.Dense(10)]
    ).save(tmp_path / "model.keras")

    done = prune.prune(keras.models.load_model(tmp_path / "model.keras"), 0.5, training(data))

    assert "sparse_categorical_crossentropy" == done.loss
    assert pytest.approx(0.5, abs=0.01) == done.sparsity


def test_same_seed_gives_the_same_weights(trained: Path, data: tuple[Any, Any]) -> None:
    """Two fine-tunings end in the same numbers, bit for bit."""
    few = (data[0][:64], data[1][:64])
    made = []
    for _ in range(2):
        model = keras.models.load_model(trained, compile=False)
        prune.prune(model, 0.5, training(few))
        made.append(b"".join(np.asarray(weight).tobytes() for weight in model.weights))
    assert made[0] == made[1]


def test_loss_is_read_from_the_file(trained: Path, tmp_path: Path) -> None:
    """The loss that a model was compiled with is found in both forms; one of own code is not."""
    model = keras.models.load_model(trained)
    model.save(tmp_path / "model.h5")
    for path, kind in ((trained, Kind.KERAS), (tmp_path / "model.h5", Kind.H5)):
        loss = keras.losses.get(prune.stated_loss(path, kind))
        assert isinstance(loss, keras.losses.SparseCategoricalCrossentropy)

    @keras.saving.register_keras_serializable("mine")  # type: ignore[untyped-decorator]
    def strange(_: Any, given: Any) -> Any:
        return given

    model.compile(loss=strange)
    model.save(tmp_path / "own.keras")
    assert prune.stated_loss(tmp_path / "own.keras", Kind.KERAS) is None


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mse"])
def test_class_numbers_suit_every_loss(data: tuple[Any, Any], loss: str) -> None:
    """A loss that wants one score for each class gets the class numbers as one-hot rows."""
    few = (data[0][:32], data[1][:32])
    assert prune.prune(network(), 0.5, training(few, loss=loss)).loss is not None


def test_one_number_a_row_is_trained_as_two_classes(data: tuple[Any, Any]) -> None:
    """A lone probability that has no axis of its own gets the loss of two classes."""
    start = keras.Input((FEATURES,), name="features")
    chance = keras.layers.Dense(1, activation="sigmoid")(start)
    model = keras.Model(start, keras.layers.Reshape(())(chance))
    few = (data[0][:32], data[1][:32] % 2)
    assert "binary_crossentropy" == prune.prune(model, 0.5, training(few)).loss


@pytest.mark.parametrize("loss", [None, "sparse_categorical_crossentropy", "mse"])
@pytest.mark.parametrize("nest", [lambda scores: {"scores": scores}, lambda scores: [scores]])
def test_one_output_in_a_dict_or_a_list(
    data: tuple[Any, Any], nest: Callable[[Any], Any], loss: str | None
) -> None:
    """A model that hands out its one output by name or in a list is fine-tuned like any other."""
    start = keras.Input((FEATURES,), name="features")
    scores = keras.layers.Dense(3, activation="softmax", name="scores")(start)
    few = (data[0][:32], data[1][:32])
    model = keras.Model(start, nest(scores))
    assert prune.prune(model, 0.5, training(few, loss=loss)).epochs > 0


def test_targets_that_do_not_fit_are_named(data: tuple[Any, Any]) -> None:
    """Targets of another shape are the user's mistake, told on one line with the loss."""
    wrong = (data[0][:32], np.zeros((32, 7), np.float32))
    with pytest.raises(DataError, match=r"train\.npz: the model cannot be trained on it \(loss "):
        prune.prune(network(), 0.5, training(wrong))


def test_targets_that_are_no_chances(data: tuple[Any, Any]) -> None:
    """Of a sigmoid's loss any number is a chance; classes beyond 0 and 1 are refused instead."""
    start = keras.Input((FEATURES,), name="features")
    model = keras.Model(start, keras.layers.Dense(1, activation="sigmoid")(start))
    with pytest.raises(
        DataError, match=r"train\.npz: `y` goes from 0 to 2: expected 0 to 1, since"
    ):
        prune.prune(model, 0.5, training(data))


def test_pruned_file_is_sparse_and_compresses(
    trained: Path, data: tuple[Any, Any], convert: Any, tmp_path: Path
) -> None:
    """By the command line the file itself holds the zeros, and gzip makes less of it."""
    x, y = data
    np.savez(tmp_path / "train.npz", x=x, y=y)
    options = ("--evaluation", tmp_path / "train.npz", "--max-accuracy-drop", "1")
    plain = convert(trained, "--recipe", "float16", *options)
    before = len(gzip.compress((plain.out / "model.tflite").read_bytes()))
    outcome = convert(
        trained, "--recipe", "float16+prune75", "--training", tmp_path / "train.npz", *options
    )
    assert 0 == outcome.code
    assert any(line.startswith("pruning 75 % and fine-tuning") for line in outcome.errors)
    content = (outcome.out / "model.tflite").read_bytes()
    assert len(gzip.compress(content)) < 0.8 * before
    model = signature.parse(content)
    halves = [
        np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float16)
        for tensor in model.subgraphs[0].tensors
        if tensor.type == 1 and len(tensor.shape) == 2
    ]
    zeros = sum(int((half == 0).sum()) for half in halves)
    assert pytest.approx(0.75, abs=0.01) == zeros / sum(half.size for half in halves)
    [row] = json.loads((outcome.out / "report.json").read_text())["candidates"]
    assert "sparse_categorical_crossentropy" == row["pruned"]["loss"]
    assert pytest.approx(0.75, abs=0.01) == row["pruned"]["sparsity"]
    assert "+prune75: 75." in (outcome.out / "report.md").read_text()
    assert "float16+prune75" == json.loads((outcome.out / "model.json").read_text())["recipe"]


@pytest.mark.parametrize("form", ["saved_model", "tflite"])
def test_only_keras_models_are_pruned(zoo: Any, convert: Any, form: str) -> None:
    """Other forms are refused on one line that says what to give instead."""
    fault = convert.fails(getattr(zoo, form), "--recipe", "float16+prune50")
    assert "only the weights of a Keras model can be pruned; give the .keras or .h5 file" in fault


def test_auto_prunes_where_there_is_training_data() -> None:
    """Pruned recipes are tried unasked only with training data, and only for a Keras model."""
    tried = {
        (trained, prunable): [
            str(one)
            for one in recipe.plan(
                "auto", calibrated=True, trained=trained, prunable=prunable
            ).tried
            if one.pruned
        ]
        for trained in (True, False)
        for prunable in (True, False)
    }
    assert {
        (True, True): ["dynamic_wi8_afp32+prune50", "dynamic_wi8_afp32+prune75"],
        (True, False): [],
        (False, True): [],
        (False, False): [],
    } == tried
    left_out = recipe.plan("auto", calibrated=True, trained=True, prunable=False).not_tried
    assert {"only the weights of a Keras model can be pruned"} == {why for _, why in left_out}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "float32+mixed",
            "float16+mixed",
            "float32+prune0",
            "float32+prune96",
            "float32+prune100",
        ),
        *("float32+prune05", "float32+prune", "float32+prune50+mixed", "int8", "", "auto"),
        *("static_wi8_ai8+prune50+prune50", "static_wi8_ai8+mixed+mixed", "float32 "),
    ],
)
def test_impossible_recipe_is_never_built(name: str) -> None:
    """A name whose parts exclude each other, or that is none, makes no recipe."""
    with pytest.raises(OptionError, match="recipe"):
        Recipe(name)


def test_recipe_is_its_own_name() -> None:
    """The parts can be read off a recipe, which is equal to its name."""
    made = Recipe("static_wi8_ai16+mixed+prune95")
    assert ("static_wi8_ai16+mixed+prune95", "static_wi8_ai16", True, 95) == (
        *(made, made.scheme),
        *(made.mixed, made.pruned),
    )


def test_rescue_is_for_plain_integer_recipes() -> None:
    """What may be rescued gets +mixed; a float, mixed or pruned recipe has no rescue."""
    names = ["static_wi8_ai8", "float16", "static_wi8_ai8+mixed", "static_wi8_ai8+prune50"]
    assert ["static_wi8_ai8+mixed", None, None, None] == [
        recipe.rescue(Recipe(name)) for name in names
    ]
