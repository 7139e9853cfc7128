"""torch.special: special functions, some of them the same as the package's own under other names."""

from minigrad.ops.elementwise import erf, erfc, erfinv, exp2, expm1, log1p, logit, sinc, xlogy
from minigrad.ops.elementwise import sigmoid as expit
from minigrad.ops.layers.softmax import log_softmax, softmax
from minigrad.ops.reduce import logsumexp
from minigrad.ops.rounding import round
from minigrad.ops.sampling import igamma as gammainc
from minigrad.ops.sampling import igammac as gammaincc
from minigrad.ops.special import digamma, i0, polygamma
from minigrad.ops.special import digamma as psi
from minigrad.ops.special import lgamma as gammaln
from minigrad.ops.special import mvlgamma as multigammaln
from minigrad.ops.special import special_entr as entr
from minigrad.ops.special import special_erfcx as erfcx
from minigrad.ops.special import special_i0e as i0e
from minigrad.ops.special import special_i1 as i1
from minigrad.ops.special import special_i1e as i1e
from minigrad.ops.special import special_log_ndtr as log_ndtr
from minigrad.ops.special import special_ndtr as ndtr
from minigrad.ops.special import special_ndtri as ndtri
from minigrad.ops.special import special_xlog1py as xlog1py

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln",
    "i0", "i0e", "i1", "i1e",
    "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
    "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip
