"""The operations as methods and operators of a tensor, one line each. In-place ones are in `tensor_inplace`."""

from __future__ import annotations

from typing import Any

from minigrad import ops
from minigrad.autograd.variable import Variable
from minigrad.ops.shape import conjugate_transposed, matrix_transposed, reversed_dims
from minigrad.tensor_linalg import LinearOps


class TensorOps(LinearOps):
    """All that computes a new tensor: torch's Tensor methods, bound to `ops`."""

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
    __getitem__ = ops.index

    def __rtruediv__(self, other: Any) -> Any:
        return self.reciprocal() * other  # as torch records it

    __rdiv__ = __rtruediv__

    def __rfloordiv__(self, other: Any) -> Any:
        return ops.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Any:
        return ops.remainder(other, self)

    def __rpow__(self, other: Any) -> Any:
        return ops.pow(other, self)

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

    # arithmetic
    add = ops.add
    sub = ops.sub
    subtract = ops.subtract
    mul = ops.mul
    multiply = ops.multiply
    neg = ops.neg
    negative = ops.negative
    div = ops.div
    divide = ops.divide
    true_divide = ops.true_divide
    floor_divide = ops.floor_divide
    remainder = ops.remainder
    fmod = ops.fmod
    pow = ops.pow
    square = ops.square
    reciprocal = ops.reciprocal
    abs = ops.abs
    absolute = ops.absolute
    addcmul = ops.addcmul
    addcdiv = ops.addcdiv
    lerp = ops.lerp

    # elementwise
    exp = ops.exp
    exp2 = ops.exp2
    expm1 = ops.expm1
    log = ops.log
    log2 = ops.log2
    log10 = ops.log10
    log1p = ops.log1p
    logaddexp = ops.logaddexp
    xlogy = ops.xlogy
    sin = ops.sin
    cos = ops.cos
    tan = ops.tan
    asin = ops.asin
    acos = ops.acos
    atan = ops.atan
    atan2 = ops.atan2
    sinc = ops.sinc
    deg2rad = ops.deg2rad
    rad2deg = ops.rad2deg
    hypot = ops.hypot
    angle = ops.angle
    copysign = ops.copysign
    float_power = ops.float_power
    frexp = ops.frexp
    ldexp = ops.ldexp
    logaddexp2 = ops.logaddexp2
    nextafter = ops.nextafter

    # special
    digamma = ops.digamma
    i0 = ops.i0
    lgamma = ops.lgamma
    mvlgamma = ops.mvlgamma

    def polygamma(self, n: int) -> Any:
        return ops.polygamma(n, self)
    arcsin = ops.arcsin
    arccos = ops.arccos
    arctan = ops.arctan
    arctan2 = ops.arctan2
    sinh = ops.sinh
    cosh = ops.cosh
    tanh = ops.tanh
    asinh = ops.asinh
    acosh = ops.acosh
    atanh = ops.atanh
    arcsinh = ops.arcsinh
    arccosh = ops.arccosh
    arctanh = ops.arctanh
    sqrt = ops.sqrt
    rsqrt = ops.rsqrt
    sigmoid = ops.sigmoid
    logit = ops.logit
    erf = ops.erf
    erfc = ops.erfc
    erfinv = ops.erfinv
    nan_to_num = ops.nan_to_num

    # rounding
    floor = ops.floor
    ceil = ops.ceil
    round = ops.round
    trunc = ops.trunc
    fix = ops.fix
    frac = ops.frac
    sign = ops.sign
    sgn = ops.sgn
    heaviside = ops.heaviside
    positive = ops.positive

    # extrema
    maximum = ops.maximum
    minimum = ops.minimum
    fmax = ops.fmax
    fmin = ops.fmin
    clamp = ops.clamp
    clamp_min = ops.clamp_min
    clamp_max = ops.clamp_max
    clip = ops.clip

    # compare
    eq = ops.eq
    ne = ops.ne
    lt = ops.lt
    le = ops.le
    gt = ops.gt
    ge = ops.ge
    isnan = ops.isnan
    isinf = ops.isinf
    isfinite = ops.isfinite
    isposinf = ops.isposinf
    isneginf = ops.isneginf
    isreal = ops.isreal
    signbit = ops.signbit
    isclose = ops.isclose
    allclose = ops.allclose
    equal = ops.equal
    logical_and = ops.logical_and
    logical_or = ops.logical_or
    logical_xor = ops.logical_xor
    logical_not = ops.logical_not
    bitwise_and = ops.bitwise_and
    bitwise_or = ops.bitwise_or
    bitwise_xor = ops.bitwise_xor
    bitwise_not = ops.bitwise_not
    masked_fill = ops.masked_fill
    not_equal = ops.not_equal
    less = ops.less
    less_equal = ops.less_equal
    greater = ops.greater
    greater_equal = ops.greater_equal

    # activation
    relu = ops.relu
    hardshrink = ops.hardshrink

    # gated
    prelu = ops.prelu

    # softmax
    softmax = ops.softmax
    log_softmax = ops.log_softmax

    # reduce
    all = ops.all
    any = ops.any
    count_nonzero = ops.count_nonzero
    logsumexp = ops.logsumexp
    mean = ops.mean
    nanmean = ops.nanmean
    nansum = ops.nansum
    prod = ops.prod
    sum = ops.sum

    # selection
    amax = ops.amax
    amin = ops.amin
    aminmax = ops.aminmax
    argmax = ops.argmax
    argmin = ops.argmin
    max = ops.max
    median = ops.median
    min = ops.min

    # stats
    std = ops.std
    var = ops.var

    # norms
    norm = ops.norm
    renorm = ops.renorm

    # scan
    cumprod = ops.cumprod
    cumsum = ops.cumsum

    # running
    cummax = ops.cummax
    cummin = ops.cummin
    logcumsumexp = ops.logcumsumexp

    # quantiles
    mode = ops.mode
    nanmedian = ops.nanmedian
    nanquantile = ops.nanquantile
    quantile = ops.quantile

    # differences
    diff = ops.diff

    # shape
    adjoint = ops.adjoint
    conj = ops.conj
    conj_physical = ops.conj_physical
    diagonal = ops.diagonal
    flatten = ops.flatten
    moveaxis = ops.moveaxis
    movedim = ops.movedim
    permute = ops.permute
    ravel = ops.ravel
    reshape = ops.reshape
    reshape_as = ops.reshape_as
    resolve_conj = ops.resolve_conj
    resolve_neg = ops.resolve_neg
    squeeze = ops.squeeze
    swapaxes = ops.swapaxes
    swapdims = ops.swapdims
    t = ops.t
    transpose = ops.transpose
    unflatten = ops.unflatten
    unsqueeze = ops.unsqueeze
    view = ops.view
    view_as = ops.view_as

    # parts
    as_strided = ops.as_strided
    chunk = ops.chunk
    dsplit = ops.dsplit
    hsplit = ops.hsplit
    narrow = ops.narrow
    narrow_copy = ops.narrow_copy
    select = ops.select
    split = ops.split
    split_with_sizes = ops.split_with_sizes
    tensor_split = ops.tensor_split
    unbind = ops.unbind
    unfold = ops.unfold
    unsafe_chunk = ops.unsafe_chunk
    unsafe_split = ops.unsafe_split
    unsafe_split_with_sizes = ops.unsafe_split_with_sizes
    vsplit = ops.vsplit

    # diagonals
    diag = ops.diag
    diag_embed = ops.diag_embed
    diagflat = ops.diagflat

    # replaced
    as_strided_scatter = ops.as_strided_scatter
    diagonal_scatter = ops.diagonal_scatter
    select_scatter = ops.select_scatter
    slice_scatter = ops.slice_scatter

    # grouped
    index_reduce = ops.index_reduce
    scatter_reduce = ops.scatter_reduce

    # arrange
    flip = ops.flip
    fliplr = ops.fliplr
    flipud = ops.flipud
    repeat = ops.repeat
    roll = ops.roll
    rot90 = ops.rot90
    tile = ops.tile
    tril = ops.tril
    triu = ops.triu

    # index
    index_put = ops.index_put

    # gather
    gather = ops.gather
    put = ops.put
    scatter = ops.scatter
    scatter_add = ops.scatter_add
    take = ops.take
    take_along_dim = ops.take_along_dim

    # order
    argsort = ops.argsort
    kthvalue = ops.kthvalue
    msort = ops.msort
    sort = ops.sort
    topk = ops.topk

    # cast
    clone = ops.clone
    contiguous = ops.contiguous

    # random
    bernoulli = ops.bernoulli
    multinomial = ops.multinomial

    # expand
    broadcast_to = ops.broadcast_to
    expand = ops.expand
    expand_as = ops.expand_as
    sum_to_size = ops.sum_to_size

    # masks
    argwhere = ops.argwhere
    masked_scatter = ops.masked_scatter
    masked_select = ops.masked_select
    nonzero = ops.nonzero

    # sets
    bincount = ops.bincount
    unique = ops.unique
    unique_consecutive = ops.unique_consecutive

    # slices
    index_add = ops.index_add
    index_copy = ops.index_copy
    index_fill = ops.index_fill
    index_select = ops.index_select
    repeat_interleave = ops.repeat_interleave

    # distance
    dist = ops.dist
