"""Linear operators over fixed weights: they cost no constraint, whatever their size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from proofward.zkml.groth16.compiler import curves
from proofward.zkml.groth16.compiler.ensemble import Ensemble
from proofward.zkml.groth16.compiler.forest import combined, least
from proofward.zkml.groth16.compiler.network import Affine, widened
from proofward.zkml.groth16.compiler.onnx_frontend.head import one_over
from proofward.zkml.groth16.compiler.onnx_frontend.node import Node, Squashed, Total, Value, operator


def _times(value: Affine, weights: np.ndarray, bias: np.ndarray) -> Affine:
    """`value[1, k] @ weights[k, n] + bias[n]`."""
    matrix = sparse.csr_array(np.asarray(weights, dtype=np.float64).T)
    return value.mapped(matrix, np.asarray(bias, dtype=np.float64), (1, weights.shape[1]))


@operator("Gemm")
def gemm(node: Node) -> Value:
    """alpha * A' @ B' + beta * C with A the activations."""
    value, weights = node.affine(0), node.constant(1).astype(np.float64)
    if node.attributes.get("transA", 0):
        node.refuse("transA is not supported: the batch axis must come first")
    if node.attributes.get("transB", 0):
        weights = weights.T
    if len(value.shape) != 2 or weights.ndim != 2 or value.shape[1] != weights.shape[0]:
        node.refuse(f"shapes {value.shape} and {weights.shape} do not multiply")
    bias = np.zeros(weights.shape[1])
    given = node.optional(2)
    if given is not None:
        bias = np.broadcast_to(given.astype(np.float64) * node.attributes.get("beta", 1.0), (1, len(bias)))[0]
    return _times(value, weights * node.attributes.get("alpha", 1.0), bias)


@operator("MatMul")
def matmul(node: Node) -> Value:
    """A @ B with constant B; leading axes of A are carried along."""
    value, weights = node.affine(0), node.constant(1).astype(np.float64)
    if weights.ndim == 1 and value.shape == (1, len(weights)):
        return _times(value, weights[:, None], np.zeros(1)).reshaped((1,))
    if weights.ndim != 2 or len(value.shape) < 2 or value.shape[-1] != weights.shape[0]:
        node.refuse(f"shapes {value.shape} and {weights.shape} do not multiply")
    lead = value.size // weights.shape[0]
    matrix = sparse.csr_array(sparse.kron(sparse.eye_array(lead), sparse.csr_array(weights.T), format="csr"))
    return value.mapped(matrix, np.zeros(lead * weights.shape[1]), (*value.shape[:-1], weights.shape[1]))


@operator("Add", "Sum")
def add(node: Node) -> Value:
    """Sum of activations and constants, with broadcasting; of tree ensembles: all their trees."""
    parts = node.inputs
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, Ensemble) for part in parts) and (joined := _forest(node)) is not None:
        return joined
    for one, other in ((0, 1), (1, 0)):
        if len(parts) == 2 and isinstance(parts[other], np.ndarray):
            special, constant = parts[one], parts[other]
            assert isinstance(constant, np.ndarray)
            if (
                isinstance(special, Squashed)
                and special.decision in ("exp", "erf")
                and np.all(constant == 1.0)
            ):
                return replace(special, decision=f"1+{special.decision}")
            if isinstance(special, (Squashed, Total)) and np.all(constant == 0.0):
                return special
    total = _sum(replace(node, inputs=parts[:2]), 1.0)
    for part in parts[2:]:
        total = _sum(replace(node, inputs=[total, part]), 1.0)
    return total


def _forest(node: Node) -> Value | None:
    """The sum of several ensembles' values, as LightGBM's converter splits a large one; None where it is
    none.
    """
    first = node.inputs[0]
    assert isinstance(first, Ensemble)
    trees, base = first.trees, np.array(first.base)
    for other in node.inputs[1:]:
        assert isinstance(other, Ensemble)
        plain = other.decision == first.decision == "value" and not (other.negated or first.negated)
        if not plain or (other.outputs, other.divisor) != (first.outputs, first.divisor):
            return None
        trees, base = trees + other.trees, base + np.array(other.base)
    return replace(first, trees=trees, base=tuple(float(v) for v in base))


@operator("Sub")
def sub(node: Node) -> Value:
    """Difference; `1 - sigmoid(x)` is understood as the other class's probability."""
    if (
        len(node.inputs) == 2
        and isinstance(node.inputs[1], Ensemble)
        and isinstance(node.inputs[0], np.ndarray)
    ):
        score = node.inputs[1]
        if score.outputs == 1 and not score.negated and np.all(node.inputs[0] == 1.0):
            return replace(score, negated=True)
    if (
        len(node.inputs) == 2
        and isinstance(node.inputs[1], Squashed)
        and isinstance(node.inputs[0], np.ndarray)
    ):
        squashed = node.inputs[1]
        plain = squashed.squash == "sigmoid" and not squashed.complement and not squashed.pair
        if plain and squashed.decision in ("sigmoid", "multilabel") and np.all(node.inputs[0] == 1.0):
            return replace(squashed, complement=True)
    return _sum(node, -1.0)


def _sum(node: Node, sign: float) -> Value:
    if len(node.inputs) != 2:
        node.refuse(f"it has {len(node.inputs)} inputs; two are supported")
    a, b = node.inputs
    if isinstance(a, np.ndarray):
        right = node.affine(1).scaled(sign)
        right, constant = _broadcast(node, right, a)
        result = right.scaled(1.0, constant.reshape(-1))
        return _stepped(right, result, "add", constant, a) if sign > 0 else result
    left = node.affine(0)
    if isinstance(b, np.ndarray):
        left, constant = _broadcast(node, left, b)
        result = left.scaled(1.0, sign * constant.reshape(-1))
        return _stepped(left, result, "add" if sign > 0 else "sub", constant, b)
    right = node.affine(1).scaled(sign)
    shape = _common(node, left.shape, right.shape)
    return left.take(np.broadcast_to(left.index, shape)).plus(right.take(np.broadcast_to(right.index, shape)))


@operator("Mul")
def mul(node: Node) -> Value:
    """Product with a constant; or of a number and its own sigmoid or error function, which is one curve."""
    gate = _gated(node)
    if gate is not None:
        return gate
    ones = [isinstance(one, np.ndarray) and bool(np.all(one == 1.0)) for one in node.inputs]
    if len(ones) == 2 and ones.count(True) == 1:
        other = node.inputs[ones.index(False)]
        if isinstance(other, Ensemble | Squashed):
            return other
    position = 1 if isinstance(node.inputs[0], np.ndarray) else 0
    given = node.constant(1 - position)
    value, constant = _broadcast(node, node.affine(position), given)
    return _stepped(value, value.scaled(constant.reshape(-1)), "mul", constant, given)


def _gated(node: Node) -> Value | None:
    """x * sigmoid(x) and x * (1 + erf(x / sqrt(2))), up to a constant factor."""
    for one, other in ((0, 1), (1, 0)):
        number, gate = node.inputs[one], node.inputs[other]
        if not isinstance(number, Affine) or not isinstance(gate, Squashed) or gate.complement or gate.pair:
            continue
        name = "Swish" if gate.squash == "sigmoid" else "ErfGate" if gate.decision == "1+erf" else None
        factor = _multiple(number, gate.logit)
        if name is None or factor is None:
            continue
        line = curves.lines(name)
        return node.network.curve(node.name, gate.logit, line).scaled(
            factor * (2.0 if name == "ErfGate" else 1.0)
        )
    return None


def _multiple(number: Affine, of: Affine) -> float | None:
    """c where the one tensor is c times the other."""
    if number.shape != of.shape:
        return None
    width = max(number.rows.shape[1], of.rows.shape[1])
    a, b = widened(number.rows, width), widened(of.rows, width)
    reach = float(np.abs(b.data).max(initial=0.0))
    if reach == 0.0:
        return None
    row = int(np.repeat(np.arange(b.shape[0]), np.diff(b.indptr))[np.abs(b.data).argmax()])
    column = int(b.indices[np.abs(b.data).argmax()])
    factor = float(a[row, column] / b[row, column])
    gap = abs(a - b * factor)
    same = float(gap.max()) <= 1e-6 * reach * max(1.0, abs(factor))
    return factor if same and np.allclose(number.bias, of.bias * factor, atol=1e-6) else None


@operator("Mean")
def mean(node: Node) -> Value:
    """Average of tensors."""
    total = add(node)
    if not isinstance(total, Affine):
        node.refuse("it averages what is no tensor")
    return total.scaled(1.0 / len(node.inputs))


@operator("Div")
def div(node: Node) -> Value:
    """Quotient by a constant; of sigmoids by their own sum, of an ensemble by the number of its trees."""
    first, second = node.inputs[0], node.inputs[1]
    if isinstance(first, np.ndarray) and np.all(first == 1.0) and (sigmoid := one_over(second)) is not None:
        return sigmoid
    if isinstance(second, np.ndarray) and np.all(second == 1.0) and isinstance(first, Squashed | Ensemble):
        return first
    if isinstance(first, Squashed) and isinstance(second, Total) and second.of.logit is first.logit:
        if first.decision == "exp":
            return Squashed("softmax", first.logit, "softmax")
        return Squashed("argmax", first.logit, "sigmoidl1")
    if isinstance(first, Affine) and isinstance(second, Affine):
        return _shares(node, first, second)
    if isinstance(first, Ensemble) and isinstance(second, np.ndarray) and second.size == 1:
        divisor = float(second.reshape(-1)[0])
        if divisor.is_integer() and 1 <= divisor * first.divisor <= 1 << 20:
            return replace(first, divisor=int(divisor) * first.divisor)
    value, constant = _broadcast(node, node.affine(0), node.constant(1))
    if np.any(constant == 0):
        node.refuse("it divides by zero")
    return _stepped(value, value.scaled(1.0 / constant.reshape(-1)), "div", constant, node.constant(1))


def _shares(node: Node, value: Affine, total: Affine) -> Value:
    """Trees' scores divided by their own sum, which keeps their order where none is negative."""
    ones = sparse.csr_array(np.ones((1, value.size)))
    gap = value.mapped(ones, np.zeros(1), (1, 1)).minus(total) if total.size == 1 else None
    if gap is None or abs(gap.rows).sum() > 0 or gap.bias[0] != 0.0:
        node.refuse("input 1 must be a constant, or the sum of input 0")
    if not total.rows.count_nonzero() and total.bias[0] == 1.0:
        return value
    scores = combined(node.network.forest, value, int(np.prod(node.network.input_shape)))
    if node.network.blocks or not node.network.forest or scores is None or min(least(scores)) < 0.0:
        node.refuse("what it divides by its own sum may be negative, which turns the order round")
    return Squashed("argmax", value, "l1")


def _stepped(
    before: Affine, after: Affine, operation: str, constant: np.ndarray, given: np.ndarray
) -> Affine:
    """`after` with the operation that made it noted, in the precision of the constant that was given."""
    bits = _BITS.get(given.dtype.type)
    steps = None if before.steps is None or bits is None else before.steps.then(operation, constant, bits)
    return replace(after, steps=steps)


_BITS = {np.float32: 32, np.float64: 64}
"""Of float16 ONNX Runtime computes some in float32, hence a tree behind it is refused."""


@operator("Neg")
def neg(node: Node) -> Value:
    """Sign change."""
    return node.affine(0).scaled(-1.0)


@operator("BatchNormalization")
def batch_normalization(node: Node) -> Value:
    """Folded into the neighbouring affine maps: scale * (x - mean) / sqrt(var + eps) + bias, per channel."""
    value = node.affine(0)
    if node.attributes.get("training_mode", 0):
        node.refuse("training_mode is set; export the model for inference")
    scale, bias, mean, var = (node.constant(i).astype(np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(var + node.attributes.get("epsilon", 1e-5))
    if len(value.shape) < 2 or value.shape[1] != factor.size:
        node.refuse(f"shape {value.shape} has no channel axis of {factor.size}")
    channel = np.broadcast_to(
        np.arange(factor.size).reshape((1, -1) + (1,) * (len(value.shape) - 2)), value.shape
    ).reshape(-1)
    return value.scaled(factor[channel], (bias - mean * factor)[channel])


@operator("Scaler", domain="ai.onnx.ml")
def scaler(node: Node) -> Value:
    """(x - offset) * scale, per feature."""
    value = node.affine(0)
    offset = np.asarray(node.attributes["offset"], dtype=np.float64)
    scale = np.asarray(node.attributes["scale"], dtype=np.float64)
    features = value.shape[-1]
    scale = np.broadcast_to(np.broadcast_to(scale, (features,)), value.shape).reshape(-1)
    offset = np.broadcast_to(np.broadcast_to(offset, (features,)), value.shape).reshape(-1)
    result = value.scaled(scale, -offset * scale)
    steps = None
    if value.steps is not None:  # it subtracts and multiplies in its input's precision, and gives float32
        bits = value.steps.precision(0)
        steps = value.steps.then("sub", offset, bits).then("mul", scale, bits).cast(32)
    return replace(result, steps=steps)


@operator("LinearRegressor", domain="ai.onnx.ml")
def linear_regressor(node: Node) -> Value:
    """x @ coefficients' + intercepts."""
    if node.attributes.get("post_transform", b"NONE") != b"NONE":
        node.refuse("its post_transform is not supported")
    return replace(_linear_model(node, int(node.attributes.get("targets", 1))), regressor=True)


@operator("SVMRegressor", domain="ai.onnx.ml")
def support_vectors(node: Node) -> Value:
    """Of a linear kernel: the sum of coefficient * (vector . x) over all vectors is one row of weights."""
    attributes = node.attributes
    plain = attributes.get("post_transform", b"NONE") == b"NONE" and not attributes.get("one_class", 0)
    if attributes.get("kernel_type", b"LINEAR") != b"LINEAR" or not plain:
        node.refuse("only a linear kernel without post_transform is supported: there is no gadget for others")
    value, shares = node.affine(0), np.asarray(attributes["coefficients"], dtype=np.float64)
    vectors = np.asarray(attributes.get("support_vectors", ()), dtype=np.float64)
    weights = shares @ vectors.reshape(len(shares), -1) if attributes.get("n_supports", 0) else shares
    if weights.shape != (value.size,):
        node.refuse(f"it takes {weights.size} features and gets {value.size}")
    return replace(_times(value, weights[:, None], np.asarray(attributes["rho"])[:1]), regressor=True)


@operator("LinearClassifier", domain="ai.onnx.ml")
def linear_classifier(node: Node) -> Value:
    """Scores of a linear model; the decision is exact on them."""
    labels = len(node.attributes.get("classlabels_ints", ())) or len(
        node.attributes.get("classlabels_strings", ())
    )
    if not len(node.attributes.get("intercepts", ())):
        node.refuse(
            "it has no intercepts, without which ONNX Runtime does not run it; export them, as zeros if "
            "need be"
        )
    scores = _linear_model(node, len(node.attributes["intercepts"]))
    transform = node.attributes.get("post_transform", b"NONE")
    squash = {b"NONE": None, b"SOFTMAX": "softmax", b"LOGISTIC": "sigmoid"}.get(transform, "unknown")
    if scores.size == labels == 2 and transform == b"LOGISTIC":
        first, second = scores.take(np.array([[0]])), scores.take(np.array([[1]]))
        if np.array_equal(first.rows.toarray(), -second.rows.toarray()) and first.bias[0] == -second.bias[0]:
            return Squashed("sigmoid", second, "sigmoid", pair=True)
    if scores.size == labels >= 2 and squash != "unknown":
        return Squashed("softmax" if squash == "softmax" else "argmax", scores, squash)
    if scores.size == 1 and labels == 2 and squash in (None, "sigmoid"):
        return Squashed("sigmoid", scores, squash, pair=True)
    node.refuse(
        f"{scores.size} scores for {labels} labels with post_transform {transform.decode()} are not supported"
    )


def _linear_model(node: Node, outputs: int) -> Affine:
    value = node.affine(0)
    weights = np.asarray(node.attributes["coefficients"], dtype=np.float64).reshape(outputs, -1)
    if weights.shape[1] != value.size:
        node.refuse(f"it takes {weights.shape[1]} features and gets {value.size}")
    return _times(value, weights.T, np.asarray(node.attributes.get("intercepts", np.zeros(outputs))))


def _broadcast(node: Node, value: Affine, constant: np.ndarray) -> tuple[Affine, np.ndarray]:
    shape = _common(node, value.shape, constant.shape)
    return value.take(np.broadcast_to(value.index, shape)), np.broadcast_to(
        constant.astype(np.float64), shape
    )


def _common(node: Node, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        node.refuse(f"shapes {a} and {b} do not broadcast")


@operator("Imputer", domain="ai.onnx.ml")
def imputer(node: Node) -> Value:
    """A fixed value for a missing input (NaN): whoever quantises a record puts it in its place."""
    value = node.affine(0)
    features = int(np.prod(node.network.input_shape))
    steps = value.steps
    fill = np.asarray(node.attributes.get("imputed_value_floats", ()), dtype=np.float32)
    replaced = float(node.attributes.get("replaced_value_float", 0.0))
    if not np.isnan(replaced):
        node.refuse(f"it replaces the value {replaced:g}; only missing values (NaN) are supported")
    if node.network.blocks or steps is None or steps.chain or fill.size not in (1, value.size):
        node.refuse("it must read the model's own inputs, one value each: impute before scaling")
    for source, one in zip(steps.source.tolist(), np.broadcast_to(fill, (value.size,)).tolist(), strict=True):
        if node.network.imputed.setdefault(source, one) != one or not 0 <= source < features:
            node.refuse(f"input {source} is imputed with two different values")
    return replace(value, steps=replace(steps, filled=np.ones(value.size, dtype=bool)))
