"""Recurrent layers written with plain tensors, so that LiteRT runs them on any batch and length.

Keras loops over a TensorArray, which LiteRT has only for a batch known beforehand. While `loops()`
is in force every Keras recurrent layer (LSTM, GRU, SimpleRNN, ConvLSTM, Bidirectional, RNN over any
cell) is traced with the loop below instead. It is the same arithmetic in the same order, with the
steps taken by index and written into a tensor of their own: a WHILE, and nothing that LiteRT lacks.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_OPTIONS = ("go_backwards", "mask", "zero_output_for_mask", "return_all_outputs")


@contextlib.contextmanager
def loops() -> Iterator[None]:
    """Puts the loop below in the place of Keras' own, for models that are traced meanwhile."""
    # Keras has no public way to another loop; the lock file holds the version that this fits.
    from keras.src import backend

    kept = backend.rnn

    def either(step_function: Any, inputs: Any, initial_states: Any, **options: Any) -> Any:  # noqa: ANN401
        # What is unrolled has no loop. Inputs in a structure, or constants for each step, only
        # layers of other packages have.
        if options.get("unroll") or options.get("constants") or isinstance(inputs, (list, dict)):
            return kept(step_function, inputs, initial_states, **options)
        known = {key: options[key] for key in _OPTIONS if key in options}
        return _loop(step_function, inputs, initial_states, **known)

    backend.rnn = either
    try:
        yield
    finally:
        backend.rnn = kept


def _loop(
    step_function: Callable[..., Any],
    inputs: Any,  # noqa: ANN401  TensorFlow publishes no types
    initial_states: Sequence[Any],
    *,
    go_backwards: bool = False,
    mask: Any = None,  # noqa: ANN401
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, list[Any]]:
    """Does what `keras.src.backend.rnn` does.

    Args:
        step_function: Called with one step and the states; gives an output and new states.
        inputs: (batch, steps, ...).
        initial_states: One tensor (batch, ...) each.
        go_backwards: Whether the last step comes first.
        mask: (batch, steps) or (batch, steps, 1), or None; a step masked out changes no state.
        zero_output_for_mask: Whether a masked step answers zeros instead of the answer before it.
        return_all_outputs: Whether every step's output is wanted.

    Returns:
        The last output, all outputs (batch, steps or 1, ...), and the last states.
    """
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    steps = tf.shape(inputs)[1]
    by_step = _swapped(tf, inputs)
    masks = None if mask is None else _by_step(tf, mask)
    states = tuple(initial_states)
    # Its value is not used: it says what shape and dtype the outputs have.
    first, _ = step_function(by_step[0], states)
    before = tf.zeros_like(first)
    count = steps if return_all_outputs else 1
    written = tf.zeros(tf.concat([[count], tf.shape(first)], 0), first.dtype)

    def body(number: Any, written: Any, before: Any, *states: Any) -> tuple[Any, ...]:  # noqa: ANN401
        at = steps - 1 - number if go_backwards else number
        output, new_states = step_function(tf.gather(by_step, at), states)
        if masks is not None:
            on = tf.gather(masks, at)
            other = tf.zeros_like(output) if zero_output_for_mask else before
            output = _where(tf, on, output, other)
            new_states = [
                _where(tf, on, new, old) for new, old in zip(new_states, states, strict=True)
            ]
        place = tf.stack([number if return_all_outputs else 0, *[0] * len(first.shape)])
        # The one operation that LiteRT writes a slice with. TensorFlow itself cannot run it, and
        # never has to: what is traced here is only converted.
        written = gen_xla_ops.xla_dynamic_update_slice(
            input=written, update=output[tf.newaxis], indices=place
        )
        return (number + 1, written, output, *new_states)

    _, written, last, *states_at_end = tf.while_loop(
        lambda number, *_: number < steps,
        body,
        (tf.constant(0), written, before, *states),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None, *first.shape]),
            first.shape,
            *(state.shape for state in states),
        ),
    )
    shape = [first.shape[0], inputs.shape[1] if return_all_outputs else 1, *first.shape[1:]]
    return last, _shaped(tf, _swapped(tf, written), shape), states_at_end


def _shaped(tf: Any, tensor: Any, shape: list[int | None]) -> Any:  # noqa: ANN401
    """Says a shape that the loop forgot; LiteRT has EnsureShape only where it says nothing."""
    if shape.count(None) > 1:
        return tf.ensure_shape(tensor, shape)
    return tf.reshape(tensor, [-1 if size is None else size for size in shape])


def _swapped(tf: Any, tensor: Any) -> Any:  # noqa: ANN401
    """Exchanges the first two dimensions."""
    return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])


def _by_step(tf: Any, mask: Any) -> Any:  # noqa: ANN401
    """Gives a mask as (steps, batch)."""
    mask = tf.cast(mask, tf.bool)
    return tf.transpose(mask if len(mask.shape) == 2 else mask[..., 0])  # noqa: PLR2004


def _where(tf: Any, on: Any, new: Any, old: Any) -> Any:  # noqa: ANN401
    """Takes rows of `new` where `on` (batch) holds, else rows of `old`."""
    return tf.where(tf.reshape(on, [-1, *[1] * (len(new.shape) - 1)]), new, old)
