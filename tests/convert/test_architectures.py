"""Numbers: float32 equals the original, for every output, at several batch sizes and lengths."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.load import Source, load

SEED = 66
BATCHES_AND_LENGTHS = ((1, 2), (3, 11), (8, 7), (1, 1))
WORDS = 20


def loaded(model: Any, folder: Path, suffix: str = ".keras") -> Source:
    """Saves a Keras model and loads it as the command line would."""
    path = folder / f"model{suffix}"
    model.save(path)
    return load(path, folder)


def drawn(source: Source, batch: int, length: int) -> dict[str, Any]:
    """Random inputs of the signature's dtypes; free dimensions beyond the first have the length."""
    rng = np.random.default_rng([SEED, batch, length])
    made: dict[str, Any] = {}
    for spec in source.signature.inputs:
        shape = (batch, *(length if size == -1 else size for size in spec.shape[1:]))
        if spec.dtype == "float32":
            made[spec.name] = rng.normal(size=shape).astype(np.float32)
        elif spec.dtype == "bool":
            made[spec.name] = rng.uniform(size=shape) < 0.5
        else:
            made[spec.name] = rng.integers(0, WORDS, shape).astype(spec.dtype)
    return made


def check(source: Source, truth: Any, *, only_one_row: bool = False) -> None:
    """Holds the float32 .tflite, and what `load` calls the original, against the truth."""
    made = LiteRtModel(source.float_model, source.signature)
    names = [spec.name for spec in source.signature.outputs]
    for batch, length in BATCHES_AND_LENGTHS:
        inputs = drawn(source, 1 if only_one_row else batch, length)
        expected, original, answers = truth(inputs), source.original(inputs), made.run(inputs)
        assert set(expected) == set(names) == set(answers) == set(original)
        for name in names:
            np.testing.assert_allclose(expected[name], original[name], rtol=0, atol=1e-5)
            np.testing.assert_allclose(expected[name], answers[name], rtol=0, atol=1e-4)


def of_keras(model: Any, *names: str) -> Any:
    """What Keras itself answers, by name."""

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        given = keras.tree.map_structure(lambda one: inputs[one.name], model.input)
        given = model(given, training=False)
        return dict(zip(names, map(np.asarray, keras.tree.flatten(given)), strict=True))

    return ask


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)


def text_classifier() -> Any:
    """Token numbers of any length -> two classes; zeros are padding."""
    words = keras.Input((None,), dtype="int32", name="words")
    value = keras.layers.Embedding(WORDS, 6, mask_zero=True)(words)
    value = keras.layers.LSTM(5, return_sequences=True)(value)
    value = keras.layers.LSTM(4, dropout=0.5)(value)
    return keras.Model(words, keras.layers.Dense(2, activation="softmax", name="tone")(value))


def test_text_classifier(tmp_path: Path) -> None:
    """Embedding and LSTM take any number of texts of any length, padding masked."""
    model = text_classifier()
    source = loaded(model, tmp_path)
    assert (-1, -1) == source.signature.inputs[0].shape
    check(source, of_keras(model, "tone"))


def test_every_other_recurrent_layer(tmp_path: Path) -> None:
    """Both directions, GRU, backwards, simple, convolutional, and one that is unrolled."""
    layers = keras.layers
    series = keras.Input((None, 3), name="series")
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True))(series)
    ends = layers.Bidirectional(layers.LSTM(3))(both)
    back = layers.SimpleRNN(3, go_backwards=True, return_sequences=True, name="back")(series)
    film = keras.Input((None, 4, 4, 1), name="film")
    seen = layers.Flatten()(layers.ConvLSTM2D(2, 3, padding="same")(film))
    short = keras.Input((3, 2), name="short")
    unrolled = layers.GRU(3, unroll=True)(short)
    ends = layers.Concatenate(name="ends")([ends, seen, unrolled])
    model = keras.Model([series, film, short], [ends, back])
    check(loaded(model, tmp_path), of_keras(model, "ends", "back"))


def test_recurrent_layers_of_a_fixed_length(tmp_path: Path) -> None:
    """Texts padded to one length: every step's output keeps that length, and its numbers."""
    series = keras.Input((6, 3), name="series")
    steps = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(series)
    steps = keras.layers.GRU(3, return_sequences=True, name="steps")(steps)
    model = keras.Model(series, [steps, keras.layers.Flatten(name="flat")(steps)])
    source = loaded(model, tmp_path)
    assert [(-1, 6, 3), (-1, 18)] == [spec.shape for spec in source.signature.outputs]
    check(source, of_keras(model, "steps", "flat"))


def test_attention_and_1d_convolutions(tmp_path: Path) -> None:
    """A small transformer with 1-D convolutions, of unknown length, from .h5."""
    layers = keras.layers
    signal = keras.Input((None, 8), name="signal")
    value = layers.Conv1D(8, 3, padding="same", activation="relu")(signal)
    value = layers.DepthwiseConv1D(3, padding="same")(value)
    mixed = layers.MultiHeadAttention(num_heads=2, key_dim=4)(value, value)
    value = layers.LayerNormalization()(layers.Add()([value, mixed]))
    value = layers.Dense(8, activation="gelu")(value)
    model = keras.Model(signal, layers.GlobalAveragePooling1D(name="mean")(value))
    check(loaded(model, tmp_path, ".h5"), of_keras(model, "mean"))


def nested() -> Any:
    """Whole numbers and truth values in, a nested structure out."""
    layers = keras.layers
    count = keras.Input((3,), dtype="int64", name="count")
    known = keras.Input((3,), dtype="bool", name="known")
    level = keras.Input((3,), name="level")
    floats = [keras.ops.cast(one, "float32") for one in (count, known)]
    both = layers.Concatenate()([*floats, level])
    heads = [layers.Dense(size)(both) for size in (1, 2, 3)]
    sure = keras.ops.cast(heads[2] > 1, "int32")
    return keras.Model(
        [count, known, level],
        {"price": heads[0], "kind": {"scores": heads[2], "sure": sure}, "pair": [heads[1]]},
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("told", [True, False], ids=["Input", "no Input"])
def test_sequential(tmp_path: Path, suffix: str, *, told: bool) -> None:
    """With an Input or without one, a trained stack of layers takes any number of rows."""
    layers = [keras.layers.Dense(6, activation="relu"), keras.layers.Dense(2, name="price")]
    model = keras.Sequential([keras.Input((3,)), *layers] if told else layers)
    model.compile("sgd", "mse")
    rows = np.random.default_rng(SEED).normal(size=(16, 3)).astype(np.float32)
    model.fit(rows, rows[:, :2], batch_size=8, verbose=0)

    source = loaded(model, tmp_path, suffix)

    assert (-1, 3) == source.signature.inputs[0].shape
    check(source, lambda given: {"price": np.asarray(model(*given.values()))})


def test_sequential_without_a_shape(tmp_path: Path) -> None:
    """One that has never seen a row has no inputs that could be served."""
    with (
        pytest.warns(UserWarning, match="has not yet been built"),
        pytest.raises(ModelError, match="has no defined inputs yet"),
    ):
        loaded(keras.Sequential([keras.layers.Dense(2)]), tmp_path)


@pytest.mark.parametrize("wrap", [lambda layer: layer, keras.layers.Bidirectional])
def test_stateful_layer_is_refused(tmp_path: Path, wrap: Any) -> None:
    """What one client sends must not change what the next one is answered."""
    start = keras.Input(batch_shape=(1, 4, 3))
    model = keras.Model(start, wrap(keras.layers.LSTM(3, stateful=True))(start))

    with pytest.raises(ModelError, match="is stateful, so that one client"):
        loaded(model, tmp_path)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(tmp_path: Path, policy: str) -> None:
    """Layers that computed in half precision compute in float32, inside of wrappers too."""
    start = keras.Input((6, 4), name="steps")
    value = keras.layers.MultiHeadAttention(2, 4, dtype=policy)(start, start)
    value = keras.layers.Bidirectional(keras.layers.GRU(4, dtype=policy), dtype=policy)(value)
    model = keras.Model(start, keras.layers.Dense(3, dtype="float32", name="answer")(value))
    rows = np.random.default_rng(SEED).normal(size=(5, 6, 4)).astype(np.float32)

    source = loaded(model, tmp_path)

    answers = LiteRtModel(source.float_model, source.signature).run({"steps": rows})
    np.testing.assert_allclose(model(rows), answers["answer"], rtol=0, atol=0.02)
    np.testing.assert_allclose(
        source.original({"steps": rows})["answer"], answers["answer"], rtol=0, atol=1e-5
    )


def test_nested_outputs(tmp_path: Path) -> None:
    """Outputs in nested dicts are called by their path; integers and booleans go in and out."""
    model = nested()
    source = loaded(model, tmp_path)
    assert {"count": "int64", "known": "bool", "level": "float32"} == {
        spec.name: spec.dtype for spec in source.signature.inputs
    }
    check(source, of_keras(model, "kind/scores", "kind/sure", "pair/0", "price"))


def test_exported_recurrent_model(tmp_path: Path) -> None:
    """A SavedModel with an LSTM converts too, fixed at one row a call, of any length."""
    model = text_classifier()
    model.export(tmp_path / "model", format="tf_saved_model", verbose=False)
    source = load(tmp_path / "model", tmp_path)
    assert (1, -1) == source.signature.inputs[0].shape
    check(source, of_keras(model, "output_0"), only_one_row=True)


def test_tf_1_estimator(tmp_path: Path) -> None:
    """What TF 1 wrote converts: a graph, a session's variables, a signature of its own name."""
    weights = np.random.default_rng(SEED).normal(size=(4, 3)).astype(np.float32)
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        rows = v1.placeholder(tf.float32, (None, 4), name="rows")
        kernel = v1.get_variable("kernel", initializer=tf.constant(weights), use_resource=False)
        answer = tf.nn.softmax(tf.matmul(rows, kernel))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"x": rows}, {"p": answer})
    source = load(tmp_path / "model", tmp_path)

    def truth(inputs: dict[str, Any]) -> dict[str, Any]:
        powers = np.exp(inputs["x"] @ weights)
        return {"p": powers / powers.sum(axis=1, keepdims=True)}

    check(source, truth)


def test_tf_2_module(tmp_path: Path) -> None:
    """A plain tf.Module converts, without Keras having had a hand in it."""
    weights = np.random.default_rng(SEED).normal(size=(4, 3)).astype(np.float32)

    class Scaled(tf.Module):  # type: ignore[misc]  # tensorflow publishes no types
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(weights, name="kernel")

        @tf.function(input_signature=[tf.TensorSpec((None, None, 4), name="rows")])  # type: ignore[untyped-decorator]
        def __call__(self, rows: Any) -> Any:
            scores = tf.einsum("blk,kn->bln", rows, self.kernel)
            return {"scores": scores, "best": tf.reduce_max(scores, axis=[1, 2])}

    tf.saved_model.save(Scaled(), str(tmp_path / "model"))
    source = load(tmp_path / "model", tmp_path)

    def truth(inputs: dict[str, Any]) -> dict[str, Any]:
        scores = inputs["rows"] @ weights
        return {"scores": scores, "best": scores.max(axis=(1, 2))}

    check(source, truth)
