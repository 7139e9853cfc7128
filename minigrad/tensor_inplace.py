"""The in-place operations as methods of a tensor, one line each: most are made from the operation itself."""

from __future__ import annotations

from minigrad import ops
from minigrad.ops.floating import float_power_
from minigrad.ops.inplace import in_place, in_place_view
from minigrad.tensor_ops import TensorOps


class InPlaceOps(TensorOps):
    """All that writes into the tensor it is called on, and returns it."""

    # arithmetic
    add_ = in_place(ops.add, "add_")
    sub_ = in_place(ops.sub, "sub_")
    subtract_ = in_place(ops.subtract, "subtract_")
    mul_ = in_place(ops.mul, "mul_")
    multiply_ = in_place(ops.multiply, "multiply_")
    neg_ = in_place(ops.neg, "neg_")
    negative_ = in_place(ops.negative, "negative_")
    div_ = in_place(ops.div, "div_")
    divide_ = in_place(ops.divide, "divide_")
    true_divide_ = in_place(ops.true_divide, "true_divide_")
    floor_divide_ = in_place(ops.floor_divide, "floor_divide_")
    remainder_ = in_place(ops.remainder, "remainder_")
    fmod_ = in_place(ops.fmod, "fmod_")
    pow_ = in_place(ops.pow, "pow_")
    square_ = in_place(ops.square, "square_")
    reciprocal_ = in_place(ops.reciprocal, "reciprocal_")
    abs_ = in_place(ops.abs, "abs_")
    absolute_ = in_place(ops.absolute, "absolute_")
    addcmul_ = in_place(ops.addcmul, "addcmul_")
    addcdiv_ = in_place(ops.addcdiv, "addcdiv_")
    lerp_ = in_place(ops.lerp, "lerp_")

    # elementwise
    exp_ = in_place(ops.exp, "exp_")
    exp2_ = in_place(ops.exp2, "exp2_")
    expm1_ = in_place(ops.expm1, "expm1_")
    log_ = in_place(ops.log, "log_")
    log2_ = in_place(ops.log2, "log2_")
    log10_ = in_place(ops.log10, "log10_")
    log1p_ = in_place(ops.log1p, "log1p_")
    xlogy_ = in_place(ops.xlogy, "xlogy_")
    sin_ = in_place(ops.sin, "sin_")
    cos_ = in_place(ops.cos, "cos_")
    tan_ = in_place(ops.tan, "tan_")
    asin_ = in_place(ops.asin, "asin_")
    acos_ = in_place(ops.acos, "acos_")
    atan_ = in_place(ops.atan, "atan_")
    atan2_ = in_place(ops.atan2, "atan2_")
    sinc_ = in_place(ops.sinc, "sinc_")
    deg2rad_ = in_place(ops.deg2rad, "deg2rad_")
    rad2deg_ = in_place(ops.rad2deg, "rad2deg_")
    hypot_ = in_place(ops.hypot, "hypot_")
    copysign_ = in_place(ops.copysign, "copysign_")
    float_power_ = float_power_
    ldexp_ = in_place(ops.ldexp, "ldexp_")
    nextafter_ = in_place(ops.nextafter, "nextafter_")

    # norms
    renorm_ = in_place(ops.renorm, "renorm_")

    # special
    digamma_ = in_place(ops.digamma, "digamma_")
    i0_ = in_place(ops.i0, "i0_")
    lgamma_ = in_place(ops.lgamma, "lgamma_")
    mvlgamma_ = in_place(ops.mvlgamma, "mvlgamma_")
    polygamma_ = in_place(TensorOps.polygamma, "polygamma_")
    arcsin_ = in_place(ops.arcsin, "arcsin_")
    arccos_ = in_place(ops.arccos, "arccos_")
    arctan_ = in_place(ops.arctan, "arctan_")
    arctan2_ = in_place(ops.arctan2, "arctan2_")
    sinh_ = in_place(ops.sinh, "sinh_")
    cosh_ = in_place(ops.cosh, "cosh_")
    tanh_ = in_place(ops.tanh, "tanh_")
    asinh_ = in_place(ops.asinh, "asinh_")
    acosh_ = in_place(ops.acosh, "acosh_")
    atanh_ = in_place(ops.atanh, "atanh_")
    arcsinh_ = in_place(ops.arcsinh, "arcsinh_")
    arccosh_ = in_place(ops.arccosh, "arccosh_")
    arctanh_ = in_place(ops.arctanh, "arctanh_")
    sqrt_ = in_place(ops.sqrt, "sqrt_")
    rsqrt_ = in_place(ops.rsqrt, "rsqrt_")
    sigmoid_ = in_place(ops.sigmoid, "sigmoid_")
    logit_ = in_place(ops.logit, "logit_")
    erf_ = in_place(ops.erf, "erf_")
    erfc_ = in_place(ops.erfc, "erfc_")
    erfinv_ = in_place(ops.erfinv, "erfinv_")
    nan_to_num_ = in_place(ops.nan_to_num, "nan_to_num_")

    # rounding
    floor_ = in_place(ops.floor, "floor_")
    ceil_ = in_place(ops.ceil, "ceil_")
    round_ = in_place(ops.round, "round_")
    trunc_ = in_place(ops.trunc, "trunc_")
    fix_ = in_place(ops.fix, "fix_")
    frac_ = in_place(ops.frac, "frac_")
    sign_ = in_place(ops.sign, "sign_")
    sgn_ = in_place(ops.sgn, "sgn_")
    heaviside_ = in_place(ops.heaviside, "heaviside_")

    # extrema
    clamp_ = in_place(ops.clamp, "clamp_")
    clamp_min_ = in_place(ops.clamp_min, "clamp_min_")
    clamp_max_ = in_place(ops.clamp_max, "clamp_max_")
    clip_ = in_place(ops.clip, "clip_")

    # compare
    eq_ = in_place(ops.eq, "eq_")
    ne_ = in_place(ops.ne, "ne_")
    lt_ = in_place(ops.lt, "lt_")
    le_ = in_place(ops.le, "le_")
    gt_ = in_place(ops.gt, "gt_")
    ge_ = in_place(ops.ge, "ge_")
    logical_and_ = in_place(ops.logical_and, "logical_and_")
    logical_or_ = in_place(ops.logical_or, "logical_or_")
    logical_xor_ = in_place(ops.logical_xor, "logical_xor_")
    logical_not_ = in_place(ops.logical_not, "logical_not_")
    bitwise_and_ = in_place(ops.bitwise_and, "bitwise_and_")
    bitwise_or_ = in_place(ops.bitwise_or, "bitwise_or_")
    bitwise_xor_ = in_place(ops.bitwise_xor, "bitwise_xor_")
    bitwise_not_ = in_place(ops.bitwise_not, "bitwise_not_")
    masked_fill_ = in_place(ops.masked_fill, "masked_fill_")
    not_equal_ = in_place(ops.not_equal, "not_equal_")
    less_ = in_place(ops.less, "less_")
    less_equal_ = in_place(ops.less_equal, "less_equal_")
    greater_ = in_place(ops.greater, "greater_")
    greater_equal_ = in_place(ops.greater_equal, "greater_equal_")

    # activation
    relu_ = in_place(ops.relu, "relu_")

    # scan
    cumprod_ = in_place(ops.cumprod, "cumprod_")
    cumsum_ = in_place(ops.cumsum, "cumsum_")

    # affine
    addbmm_ = in_place(ops.addbmm, "addbmm_")
    addmm_ = in_place(ops.addmm, "addmm_")
    addmv_ = in_place(ops.addmv, "addmv_")
    addr_ = in_place(ops.addr, "addr_")
    baddbmm_ = in_place(ops.baddbmm, "baddbmm_")

    # shape
    squeeze_ = in_place_view(ops.squeeze, "squeeze_", "SqueezeBackward3")
    swapaxes_ = in_place_view(ops.swapaxes, "swapaxes_", "TransposeBackward1")
    swapdims_ = in_place_view(ops.swapdims, "swapdims_", "TransposeBackward1")
    t_ = in_place_view(ops.t, "t_", "TBackward1")
    transpose_ = in_place_view(ops.transpose, "transpose_", "TransposeBackward1")
    unsqueeze_ = in_place_view(ops.unsqueeze, "unsqueeze_", "UnsqueezeBackward1")
    conj_physical_ = in_place(ops.conj_physical, "conj_physical_")

    # arrange
    tril_ = in_place(ops.tril, "tril_")
    triu_ = in_place(ops.triu, "triu_")

    # index
    index_put_ = in_place(ops.index_put, "index_put_")

    # gather
    scatter_ = in_place(ops.scatter, "scatter_")
    scatter_add_ = in_place(ops.scatter_add, "scatter_add_")
    put_ = in_place(ops.put, "put_")

    # grouped
    index_reduce_ = in_place(ops.index_reduce, "index_reduce_")
    scatter_reduce_ = in_place(ops.scatter_reduce, "scatter_reduce_")

    # random
    bernoulli_ = ops.bernoulli_
    cauchy_ = ops.cauchy_
    exponential_ = ops.exponential_
    geometric_ = ops.geometric_
    log_normal_ = ops.log_normal_
    normal_ = ops.normal_
    random_ = ops.random_
    uniform_ = ops.uniform_

    # fill
    copy_ = ops.copy_
    fill_ = ops.fill_
    fill_diagonal_ = ops.fill_diagonal_
    resize_ = ops.resize_
    resize_as_ = ops.resize_as_
    zero_ = ops.zero_

    # masks
    masked_scatter_ = in_place(ops.masked_scatter, "masked_scatter_")

    # slices
    index_add_ = in_place(ops.index_add, "index_add_")
    index_copy_ = in_place(ops.index_copy, "index_copy_")
    index_fill_ = in_place(ops.index_fill, "index_fill_")

    # operators
    __iadd__ = add_
    __isub__ = sub_
    __imul__ = mul_
    __itruediv__ = div_
    __ifloordiv__ = floor_divide_
    __imod__ = remainder_
    __ipow__ = pow_
    __iand__ = bitwise_and_
    __ior__ = bitwise_or_
    __ixor__ = bitwise_xor_
    __setitem__ = ops.setitem
