"""The operators of a tensor, and its methods: what the operations declare in their `forms`, each bound by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad import ops
from minigrad.autograd.variable import Variable
from minigrad.ops.floating import float_power_
from minigrad.ops.forms import bind
from minigrad.ops.inplace import in_place
from minigrad.ops.shape import conjugate_transposed, matrix_transposed, reversed_dims


class TensorOps(Variable):
    """All that computes with tensors: torch's operators and Tensor methods."""

    __hash__ = Variable.__hash__  # defining == would otherwise take it away

    # operators
    __add__ = __radd__ = ops.add
    __sub__ = ops.sub
    __rsub__ = ops.rsub
    __mul__ = __rmul__ = ops.mul
    __truediv__ = ops.true_divide
    __floordiv__ = ops.floor_divide
    __mod__ = ops.remainder
    __pow__ = ops.pow
    __matmul__ = ops.matmul
    __neg__ = ops.neg
    __pos__ = ops.positive
    __abs__ = ops.abs
    __lt__ = ops.lt
    __le__ = ops.le
    __gt__ = ops.gt
    __ge__ = ops.ge
    __and__ = __rand__ = ops.bitwise_and
    __or__ = __ror__ = ops.bitwise_or
    __xor__ = __rxor__ = ops.bitwise_xor
    __invert__ = ops.bitwise_not
    __lshift__ = ops.bitwise_left_shift
    __rshift__ = ops.bitwise_right_shift
    __getitem__ = ops.index
    __setitem__ = ops.setitem

    def __rtruediv__(self, other: Any) -> Any:
        return self.reciprocal() * other  # as torch records it

    __rdiv__ = __rtruediv__

    def __rfloordiv__(self, other: Any) -> Any:
        return ops.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Any:
        return ops.remainder(other, self)

    def __rpow__(self, other: Any) -> Any:
        return ops.pow(other, self)

    def __rlshift__(self, other: Any) -> Any:
        return ops.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Any:
        return ops.bitwise_right_shift(other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __eq__(self, other: object) -> Any:
        return False if other is None else ops.eq(self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else ops.ne(self, other)

    T = property(reversed_dims)
    mT = property(matrix_transposed)
    mH = property(lambda self: matrix_transposed(self, "mH"))
    H = property(conjugate_transposed)
    real = property(ops.real)
    imag = property(ops.imag)

    def where(self, condition: Any, other: Any) -> Any:
        return ops.where(condition, self, other)

    def split(self, split_size: Any, dim: int = 0) -> Any:
        return ops.split(self, split_size, dim)

    def polygamma(self, n: int) -> Any:
        return ops.polygamma(n, self)

    polygamma_ = in_place(polygamma, "polygamma_")
    float_power_ = float_power_

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What is bound below."""


for _name in ops.__all__:
    bind(TensorOps, _name, getattr(ops, _name))

IN_PLACE_OPERATORS = {
    "__iadd__": "add_",
    "__isub__": "sub_",
    "__imul__": "mul_",
    "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_",
    "__imod__": "remainder_",
    "__ipow__": "pow_",
    "__iand__": "bitwise_and_",
    "__ior__": "bitwise_or_",
    "__ixor__": "bitwise_xor_",
    "__ilshift__": "bitwise_left_shift_",
    "__irshift__": "bitwise_right_shift_",
}
for _operator, _twin in IN_PLACE_OPERATORS.items():
    setattr(TensorOps, _operator, getattr(TensorOps, _twin))
