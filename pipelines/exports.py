"""A served model in formats of other tools, each proved: its own runtime gives the same answers.

`keras` and `savedmodel` hold the whole model, texts included. `onnx` and `tflite` hold numbers
alone: the domain's `portable_model`, with the facts (classes, units, lengths) in a file beside it.
"""

import importlib.util
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from pipelines.errors import ApplineError, UsageError
from pipelines.io.temporary import temporary_folder
from pipelines.io.whole_files import written_whole
from pipelines.model_file import facts_as_json, read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.timing import latency

if TYPE_CHECKING:
    import keras

Format: TypeAlias = Literal["keras", "savedmodel", "onnx", "tflite"]
Arrays: TypeAlias = Mapping[str, np.ndarray]
Runner: TypeAlias = Callable[[Arrays], Arrays]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS: Mapping[Format, str] = {
    "keras": ".keras",
    "savedmodel": "",
    "onnx": ".onnx",
    "tflite": ".tflite",
}
NUMBERS_ALONE: tuple[Format, ...] = ("onnx", "tflite")
PACKAGES = ("onnx", "tf2onnx", "onnxruntime")  # of the extra `export`
OPSET = 17
EXAMPLES = 64  # that a proof asks about
Quantization: TypeAlias = Literal["none", "float16", "int8"]
# Of the largest answer: what single precision may lose in sums of another order, what a network
# may lose whose weights have the 11 bits of half precision, and one whose weights have 8.
TOLERANCES: Mapping[Quantization, float] = {"none": 1e-4, "float16": 1e-2, "int8": 5e-2}
BEST_OF = ("probabilities", "scores")  # answers whose largest value is what people read


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What an export answered, compared with the model that it was made from.

    `agreement` is the share of examples whose best answer is the same, None where there is no best
    one. Latencies are of one example, in milliseconds. Where the export is quantized, `scores` are
    its metrics on validation and `full_scores` those of the model before.
    """

    format: Format
    quantize: Quantization
    examples: int
    largest_difference: float
    largest_answer: float
    agreement: float | None
    num_bytes: int
    latency_ms: float
    keras_latency_ms: float
    scores: Mapping[str, float] = field(default_factory=dict)
    full_scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """The largest difference that is no more than rounding."""
        return TOLERANCES[self.quantize] * max(1.0, self.largest_answer)

    @property
    def holds(self) -> bool:
        """Whether the answers are the same but for rounding."""
        return self.largest_difference <= self.tolerance


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is written: a format, and how its weights are made smaller.

    `score` gives the metrics on validation of whatever answers; it is asked where the export is
    quantized.
    """

    format: Format
    quantize: Quantization = "none"
    score: Callable[[Runner], Mapping[str, float]] | None = None


def require_quantizable(chosen: Format, quantize: Quantization) -> None:
    """Refuse to quantize a format that is read back as it was trained.

    Raises:
        UsageError: the message says which formats can be.
    """
    if quantize != "none" and chosen not in NUMBERS_ALONE:
        raise UsageError(
            f"--quantize {quantize}: --format {chosen} holds the network as it was trained. "
            f"Expected: --format {' or --format '.join(NUMBERS_ALONE)}"
        )


def require_format(serving_inputs: Mapping[str, str], chosen: Format) -> None:
    """Refuse a format that cannot hold a model with inputs of these types, or lacks its packages.

    Raises:
        UsageError: the message says which format holds it, or what to install.
    """
    texts = [name for name, dtype in serving_inputs.items() if dtype == "string"]
    if texts and chosen in NUMBERS_ALONE:
        raise UsageError(
            f"--format {chosen}: this model takes texts ({', '.join(texts)}), and {chosen} holds "
            "numbers alone. Expected: --format keras or --format savedmodel"
        )
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if chosen == "onnx" and missing:
        raise UsageError(
            f"--format onnx needs {', '.join(missing)}. Install: pip install 'appline[export]'"
        )


def input_types(model: "keras.Model") -> dict[str, str]:
    """Return the type of each input of a model by its name."""
    return {tensor.name: str(tensor.dtype) for tensor in model.inputs}


def export(
    serving: ServingModel, portable: "keras.Model", target: Target, inputs: Arrays, path: Path
) -> Proof:
    """Write a model to `path` as the `target` says, if it is proved on `inputs`.

    Nothing is at `path` yet; where the proof fails, nothing is there afterwards. `portable` is what
    formats of numbers hold of the model.

    Raises:
        ApplineError: the format cannot hold the model, or it answers otherwise.
    """
    chosen = target.format
    with temporary_folder() as folder:
        written = folder / f"model{ENDINGS[chosen]}"
        try:
            runner = WRITERS[chosen](serving, portable, written, target.quantize)
            proof = _prove(serving, target, runner, inputs, written)
            if target.score is not None:
                full = target.score(keras_runner(portable))
                proof = replace(proof, scores=target.score(runner), full_scores=full)
        except ApplineError:
            raise
        except Exception as error:  # converters raise whatever they like
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise ApplineError(
                f"--format {chosen}: cannot hold this model ({reason[0][:200]}). "
                "Expected: --format keras or --format savedmodel"
            ) from error
        if not proof.holds:
            raise ApplineError(
                f"--format {chosen}: is not written, because it answers otherwise: of "
                f"{proof.examples} examples the largest difference is "
                f"{proof.largest_difference:.3g}, and may be {proof.tolerance:.2g}, where the "
                f"largest answer is {proof.largest_answer:.3g}. Expected: {_milder(target)}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        if chosen in NUMBERS_ALONE:
            with written_whole(facts_file(path)) as facts:
                facts.write_text(json.dumps(facts_as_json(serving), indent=2))
        with written_whole(path) as whole:
            shutil.move(written, whole)
    return proof


def _milder(target: Target) -> str:
    """Return what to type in place of an export that answers otherwise."""
    if target.quantize == "int8":
        return "--quantize float16"
    if target.quantize == "float16":
        return "no --quantize"
    return "--format keras or --format savedmodel"


def facts_file(path: Path) -> Path:
    """Return where the facts of an export of numbers lie: beside it, as `pets.onnx.json`."""
    return path.with_name(f"{path.name}.json")


# ---------------------------------------------------------------- writers, and their runtimes


def _keras(
    serving: ServingModel, portable: "keras.Model", path: Path, quantize: Quantization
) -> Runner:
    write_model(serving, path)
    return keras_runner(read_model(path).model)


def keras_runner(model: "keras.Model") -> Runner:
    """Return what calls a Keras model with inputs by name, as a graph, which is its fastest."""
    import tensorflow as tf

    traced = tf.function(keras_caller(model), reduce_retracing=True)

    def run(inputs: Arrays) -> Arrays:
        return _as_arrays(traced({name: tf.constant(values) for name, values in inputs.items()}))

    return run


def _savedmodel(
    serving: ServingModel, portable: "keras.Model", path: Path, quantize: Quantization
) -> Runner:
    import tensorflow as tf

    model = serving.model
    model.export(path, format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(str(path))
    is_single = _is_single(model)

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: tf.constant(values) for name, values in inputs.items()}
        return _as_arrays(loaded.serve(next(iter(tensors.values())) if is_single else tensors))

    return run


def _tflite(
    serving: ServingModel, portable: "keras.Model", path: Path, quantize: Quantization
) -> Runner:
    import tensorflow as tf

    with temporary_folder() as folder:
        portable.export(folder / "saved", format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
        if quantize != "none":
            # Without examples of the data: weights alone, activations as they come.
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it moves to a package of its own
        interpreter = tf.lite.Interpreter(model_path=str(path))
    signature = interpreter.get_signature_runner("serving_default")
    return lambda inputs: _as_arrays(signature(**inputs))


def _onnx(
    serving: ServingModel, portable: "keras.Model", path: Path, quantize: Quantization
) -> Runner:
    import onnxruntime

    write_onnx(portable, path, quantize)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(answers, session.run(None, dict(inputs)), strict=True))


def write_onnx(portable: "keras.Model", path: Path, quantize: Quantization = "none") -> None:
    """Write a model whose outputs are a dict as an ONNX file."""
    import tensorflow as tf

    from pipelines.networks.models import graph_of_constants

    types = {}
    for tensor in portable.inputs:
        types[tensor.name] = tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
    # With its weights as constants: tf2onnx takes what a graph has captured for further inputs.
    frozen = graph_of_constants(keras_caller(portable), types)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy's names that tf2onnx looks at
        import tf2onnx
        from tf2onnx.handler import tf_op

        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
        tf_op("Erfc")(_Erfc)
        proto, _ = tf2onnx.convert.from_graph_def(
            frozen.graph.as_graph_def(),
            input_names=[tensor.name for tensor in frozen.inputs],
            output_names=[tensor.name for tensor in frozen.outputs],
            opset=OPSET,
        )
    names = {tensor.name: tensor.name.split(":")[0] for tensor in frozen.inputs}
    # TensorFlow gives back the values of a dict in the order of its keys.
    names |= {
        tensor.name: name
        for tensor, name in zip(frozen.outputs, sorted(portable.output), strict=True)
    }
    _rename(proto.graph, names)
    _save_onnx(proto, path, quantize)


def _save_onnx(proto: Any, path: Path, quantize: Quantization) -> None:
    """Write an ONNX model, its weights made smaller as `quantize` says."""
    if quantize == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        proto = convert_float_to_float16(proto, keep_io_types=True)
    path.write_bytes(proto.SerializeToString())
    if quantize != "int8":
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    full = path.with_name("full.onnx")
    path.rename(full)
    with warnings.catch_warnings(), _quiet_root_logger():
        warnings.simplefilter("ignore")
        # Unsigned: ONNX Runtime has convolutions of these alone.
        quantize_dynamic(full, path, weight_type=QuantType.QUInt8)
    full.unlink()


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """Pass over advice on a step of preparation, which changes no answer."""
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def keras_caller(model: "keras.Model") -> Callable[[Any], Any]:
    """Return a function of inputs by name, for TensorFlow to trace."""
    is_single = _is_single(model)
    return lambda given: model(next(iter(given.values())) if is_single else given, training=False)


def _is_single(model: "keras.Model") -> bool:
    """Whether a model takes one tensor, and not a dict."""
    return not isinstance(model.input, dict) and len(model.inputs) == 1


class _Erfc:
    """TensorFlow's Erfc, of which the exact GELU is made, as 1 - Erf: tf2onnx does not know it."""

    @classmethod
    def version_9(cls, context: Any, node: Any, **_: Any) -> None:
        (given,), (output,) = node.input, node.output
        kind, shape = context.get_dtype(given), context.get_shape(given)
        one = context.make_const(f"{node.name}_one", np.float32(1)).output[0]
        context.remove_node(node.name)
        erf = context.make_node("Erf", [given], dtypes=[kind], shapes=[shape]).output[0]
        context.make_node("Sub", [one, erf], outputs=[output], dtypes=[kind], shapes=[shape])


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give the inputs and outputs of an ONNX graph the names that the model has for them."""
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = names.get(name, name)
        for position, name in enumerate(node.output):
            node.output[position] = names.get(name, name)


WRITERS: Mapping[Format, Callable[[ServingModel, "keras.Model", Path, Quantization], Runner]] = {
    "keras": _keras,
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "tflite": _tflite,
}


# ---------------------------------------------------------------------------------- the proof


def in_batches(runner: Runner, inputs: Arrays) -> Arrays:
    """Return what `runner` answers to many examples, asked a few at a time."""
    count = len(next(iter(inputs.values())))
    parts = []
    for begin in range(0, count, EXAMPLES):
        some = {name: values[begin : begin + EXAMPLES] for name, values in inputs.items()}
        parts.append(runner(some))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _prove(
    serving: ServingModel, target: Target, runner: Runner, inputs: Arrays, path: Path
) -> Proof:
    reference = keras_runner(serving.model)
    expected, received = reference(inputs), runner(inputs)
    differences, largest = [0.0], [0.0]
    agreement = None
    for name, answers in received.items():
        if answers.dtype.kind != "f":
            continue
        of_model = expected[name]
        difference = np.abs(answers - of_model)
        # Items that cannot be recommended have a score of -inf in both.
        difference = np.where(answers == of_model, 0.0, difference)
        differences.append(float(difference.max()))
        largest.append(float(np.abs(of_model[np.isfinite(of_model)]).max(initial=0.0)))
        if name in BEST_OF:
            same = answers.argmax(axis=-1) == of_model.argmax(axis=-1)
            agreement = float(same.mean())
    if len(differences) == 1:
        raise ApplineError(f"--format {target.format}: gives no numbers, so nothing can be proved")
    return Proof(
        format=target.format,
        quantize=target.quantize,
        examples=len(next(iter(inputs.values()))),
        # NaN compares as nothing: it must not pass for 0.
        largest_difference=float(np.nan_to_num(np.max(differences), nan=np.inf)),
        largest_answer=max(largest),
        agreement=agreement,
        num_bytes=_size(path),
        latency_ms=_latency(runner, inputs),
        keras_latency_ms=_latency(reference, inputs),
    )


def _latency(runner: Runner, inputs: Arrays) -> float:
    """Return the median time of an answer to one example, in milliseconds."""
    one = {name: values[:1] for name, values in inputs.items()}
    runner(one)  # the first call traces
    return latency(partial(runner, one)).p50


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _as_arrays(answers: Mapping[str, Any]) -> Arrays:
    return {name: np.asarray(values) for name, values in answers.items()}
