"""The operations as methods and operators of a tensor, one line each."""

from __future__ import annotations

from typing import Any

from minigrad import ops
from minigrad.autograd.variable import Variable
from minigrad.ops.inplace import in_place


class TensorOps(Variable):
    """All that computes: torch's Tensor methods, bound to `ops`."""

    __hash__ = Variable.__hash__


# INTERIM while the families arrive: everything present is bound; becomes explicit lines.
METHODS = """abs add sub mul div true_divide floor_divide remainder fmod neg pow reciprocal square sqrt rsqrt addcmul addcdiv lerp
maximum minimum fmax fmin clamp clamp_min clamp_max clip exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh
cosh tanh asinh acosh atanh sigmoid logit erf erfc erfinv floor ceil round trunc frac sign sgn positive hypot logaddexp deg2rad
rad2deg sinc xlogy nan_to_num eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
bitwise_not isnan isinf isfinite isclose allclose equal masked_fill relu softmax log_softmax prelu hardshrink sum mean prod amax amin max min
argmax argmin all any var std norm logsumexp cumsum cumprod count_nonzero median nansum nanmean matmul mm bmm mv dot addmm addmv
baddbmm outer view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze transpose swapaxes swapdims t permute movedim moveaxis
expand expand_as broadcast_to sum_to_size narrow select diagonal unfold split chunk unbind tensor_split as_strided flip fliplr
flipud roll rot90 repeat tile repeat_interleave tril triu gather scatter scatter_add take_along_dim take index_select index_add
index_copy index_fill index_put masked_select masked_scatter nonzero argwhere sort argsort topk kthvalue unique clone contiguous
absolute negative subtract multiply divide logical_not multinomial bernoulli bincount fix arcsin arccos arctan diag trace cummax cummin aminmax
greater greater_equal less less_equal not_equal tensor_split hsplit vsplit mode dist split_with_sizes inner ger""".split()

for _name in METHODS:
    if hasattr(ops, _name):
        setattr(TensorOps, _name, getattr(ops, _name))

IN_PLACE = """abs add sub mul div floor_divide remainder fmod neg pow reciprocal square sqrt rsqrt addcmul addcdiv lerp
clamp clamp_min clamp_max clip exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh sigmoid logit
erf erfc erfinv floor ceil round trunc frac sign sgn hypot deg2rad rad2deg sinc xlogy nan_to_num eq ne lt le gt ge logical_and
logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not masked_fill relu cumsum cumprod tril triu
scatter scatter_add index_add index_copy index_fill index_put masked_scatter true_divide absolute negative subtract multiply divide
addmm addmv baddbmm""".split()
for _name in IN_PLACE:
    if hasattr(ops, _name):
        setattr(TensorOps, _name + "_", in_place(getattr(ops, _name), _name + "_"))

OPERATORS = {
    "__add__": "add", "__radd__": "add", "__sub__": "sub", "__rsub__": "rsub", "__mul__": "mul", "__rmul__": "mul",
    "__truediv__": "div", "__floordiv__": "floor_divide", "__mod__": "remainder", "__pow__": "pow", "__matmul__": "matmul",
    "__neg__": "neg", "__abs__": "abs", "__lt__": "lt", "__le__": "le", "__gt__": "gt", "__ge__": "ge",
    "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor", "__invert__": "bitwise_not",
    "__getitem__": "index", "__setitem__": "setitem", "__pos__": "positive",
}
for _dunder, _name in OPERATORS.items():
    if hasattr(ops, _name):
        setattr(TensorOps, _dunder, getattr(ops, _name))

for _dunder, _name in {"__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_", "__itruediv__": "div_", "__ipow__": "pow_"}.items():
    if hasattr(TensorOps, _name):
        setattr(TensorOps, _dunder, getattr(TensorOps, _name))


def _eq(self: Any, other: Any) -> Any:
    return ops.eq(self, other) if other is not None else False


def _ne(self: Any, other: Any) -> Any:
    return ops.ne(self, other) if other is not None else True


TensorOps.__eq__ = _eq  # type: ignore
TensorOps.__ne__ = _ne  # type: ignore
TensorOps.__rtruediv__ = lambda self, other: self.reciprocal() * other  # type: ignore
TensorOps.__rpow__ = lambda self, other: ops.pow(other, self)  # type: ignore
TensorOps.__rmatmul__ = lambda self, other: ops.matmul(other, self)  # type: ignore
TensorOps.T = property(ops.shape.reversed_dims)  # type: ignore
TensorOps.mT = property(ops.shape.matrix_transposed)  # type: ignore
