"""Every operation, a file a family: primitives with their derivative rules, and what is composed of them."""

from minigrad.ops.arithmetic import *
from minigrad.ops.arithmetic import __all__ as _arithmetic
from minigrad.ops.arrange import *
from minigrad.ops.arrange import __all__ as _arrange
from minigrad.ops.bits import *
from minigrad.ops.bits import __all__ as _bits
from minigrad.ops.cast import *
from minigrad.ops.cast import __all__ as _cast
from minigrad.ops.combined import *
from minigrad.ops.combined import __all__ as _combined
from minigrad.ops.compare import *
from minigrad.ops.compare import __all__ as _compare
from minigrad.ops.conjugate import *
from minigrad.ops.conjugate import __all__ as _conjugate
from minigrad.ops.copies import *
from minigrad.ops.copies import __all__ as _copies
from minigrad.ops.covariance import *
from minigrad.ops.covariance import __all__ as _covariance
from minigrad.ops.create import *
from minigrad.ops.create import __all__ as _create
from minigrad.ops.diagonals import *
from minigrad.ops.diagonals import __all__ as _diagonals
from minigrad.ops.differences import *
from minigrad.ops.differences import __all__ as _differences
from minigrad.ops.elementwise import *
from minigrad.ops.elementwise import __all__ as _elementwise
from minigrad.ops.exchange import *
from minigrad.ops.exchange import __all__ as _exchange
from minigrad.ops.expand import *
from minigrad.ops.expand import __all__ as _expand
from minigrad.ops.extrema import *
from minigrad.ops.extrema import __all__ as _extrema
from minigrad.ops.fill import *
from minigrad.ops.fill import __all__ as _fill
from minigrad.ops.floating import *
from minigrad.ops.floating import __all__ as _floating
from minigrad.ops.gather import *
from minigrad.ops.gather import __all__ as _gather
from minigrad.ops.grouped import *
from minigrad.ops.grouped import __all__ as _grouped
from minigrad.ops.histogram import *
from minigrad.ops.histogram import __all__ as _histogram
from minigrad.ops.index import *
from minigrad.ops.index import __all__ as _index
from minigrad.ops.join import *
from minigrad.ops.join import __all__ as _join
from minigrad.ops.layers.activation import *
from minigrad.ops.layers.activation import __all__ as _activation
from minigrad.ops.layers.adaptive_pool import *
from minigrad.ops.layers.adaptive_pool import __all__ as _adaptive_pool
from minigrad.ops.layers.attention import *
from minigrad.ops.layers.attention import __all__ as _attention
from minigrad.ops.layers.batch_norm import *
from minigrad.ops.layers.batch_norm import __all__ as _batch_norm
from minigrad.ops.layers.conv import *
from minigrad.ops.layers.conv import __all__ as _conv
from minigrad.ops.layers.dropout import *
from minigrad.ops.layers.dropout import __all__ as _dropout
from minigrad.ops.layers.embedding import *
from minigrad.ops.layers.embedding import __all__ as _embedding
from minigrad.ops.layers.gated import *
from minigrad.ops.layers.gated import __all__ as _gated
from minigrad.ops.layers.grid import *
from minigrad.ops.layers.grid import __all__ as _grid
from minigrad.ops.layers.native_norm import *
from minigrad.ops.layers.native_norm import __all__ as _native_norm
from minigrad.ops.layers.normalization import *
from minigrad.ops.layers.normalization import __all__ as _normalization
from minigrad.ops.layers.pixels import *
from minigrad.ops.layers.pixels import __all__ as _pixels
from minigrad.ops.layers.pool import *
from minigrad.ops.layers.pool import __all__ as _pool
from minigrad.ops.layers.recurrent import *
from minigrad.ops.layers.recurrent import __all__ as _recurrent
from minigrad.ops.layers.softmax import *
from minigrad.ops.layers.softmax import __all__ as _softmax
from minigrad.ops.linalg.affine import *
from minigrad.ops.linalg.affine import __all__ as _affine
from minigrad.ops.linalg.cdist import *
from minigrad.ops.linalg.cdist import __all__ as _cdist
from minigrad.ops.linalg.decompositions import *
from minigrad.ops.linalg.decompositions import __all__ as _decompositions
from minigrad.ops.linalg.distance import *
from minigrad.ops.linalg.distance import __all__ as _distance
from minigrad.ops.linalg.einsum import *
from minigrad.ops.linalg.einsum import __all__ as _einsum
from minigrad.ops.linalg.householder import *
from minigrad.ops.linalg.householder import __all__ as _householder
from minigrad.ops.linalg.least_squares import *
from minigrad.ops.linalg.least_squares import __all__ as _least_squares
from minigrad.ops.linalg.low_rank import *
from minigrad.ops.linalg.low_rank import __all__ as _low_rank
from minigrad.ops.linalg.lu import *
from minigrad.ops.linalg.lu import __all__ as _lu
from minigrad.ops.linalg.matmul import *
from minigrad.ops.linalg.matmul import __all__ as _linalg
from minigrad.ops.linalg.matrix_exp import *
from minigrad.ops.linalg.matrix_exp import __all__ as _matrix_exp
from minigrad.ops.linalg.norms import *
from minigrad.ops.linalg.norms import __all__ as _norms
from minigrad.ops.linalg.products import *
from minigrad.ops.linalg.products import __all__ as _products
from minigrad.ops.linalg.solve import *
from minigrad.ops.linalg.solve import __all__ as _solve
from minigrad.ops.linalg.triangular import *
from minigrad.ops.linalg.triangular import __all__ as _triangular
from minigrad.ops.losses.classification import *
from minigrad.ops.losses.classification import __all__ as _classification
from minigrad.ops.losses.elementwise import *
from minigrad.ops.losses.elementwise import __all__ as _loss
from minigrad.ops.losses.likelihood import *
from minigrad.ops.losses.likelihood import __all__ as _likelihood
from minigrad.ops.losses.margin import *
from minigrad.ops.losses.margin import __all__ as _margin
from minigrad.ops.masks import *
from minigrad.ops.masks import __all__ as _masks
from minigrad.ops.order import *
from minigrad.ops.order import __all__ as _order
from minigrad.ops.pad import *
from minigrad.ops.pad import __all__ as _pad
from minigrad.ops.parts import *
from minigrad.ops.parts import __all__ as _parts
from minigrad.ops.quantiles import *
from minigrad.ops.quantiles import __all__ as _quantiles
from minigrad.ops.random import *
from minigrad.ops.random import __all__ as _random
from minigrad.ops.ranges import *
from minigrad.ops.ranges import __all__ as _ranges
from minigrad.ops.reduce import *
from minigrad.ops.reduce import __all__ as _reduce
from minigrad.ops.replaced import *
from minigrad.ops.replaced import __all__ as _replaced
from minigrad.ops.rounding import *
from minigrad.ops.rounding import __all__ as _rounding
from minigrad.ops.running import *
from minigrad.ops.running import __all__ as _running
from minigrad.ops.sampling import *
from minigrad.ops.sampling import __all__ as _sampling
from minigrad.ops.scan import *
from minigrad.ops.scan import __all__ as _scan
from minigrad.ops.selection import *
from minigrad.ops.selection import __all__ as _selection
from minigrad.ops.sets import *
from minigrad.ops.sets import __all__ as _sets
from minigrad.ops.shape import *
from minigrad.ops.shape import __all__ as _shape
from minigrad.ops.signal_windows import *
from minigrad.ops.signal_windows import __all__ as _signal_windows
from minigrad.ops.slices import *
from minigrad.ops.slices import __all__ as _slices
from minigrad.ops.special import *
from minigrad.ops.special import __all__ as _special
from minigrad.ops.stats import *
from minigrad.ops.stats import __all__ as _stats

# Named one by one, so that `import *` does not hand on the families' modules as well.
__all__ = [
    *_activation,
    *_adaptive_pool,
    *_affine,
    *_arithmetic,
    *_arrange,
    *_attention,
    *_batch_norm,
    *_bits,
    *_cast,
    *_cdist,
    *_classification,
    *_combined,
    *_compare,
    *_conjugate,
    *_conv,
    *_copies,
    *_covariance,
    *_create,
    *_decompositions,
    *_diagonals,
    *_differences,
    *_distance,
    *_dropout,
    *_einsum,
    *_elementwise,
    *_embedding,
    *_exchange,
    *_expand,
    *_extrema,
    *_fill,
    *_floating,
    *_gated,
    *_gather,
    *_grid,
    *_grouped,
    *_histogram,
    *_householder,
    *_index,
    *_join,
    *_least_squares,
    *_likelihood,
    *_linalg,
    *_loss,
    *_low_rank,
    *_lu,
    *_margin,
    *_masks,
    *_matrix_exp,
    *_native_norm,
    *_normalization,
    *_norms,
    *_order,
    *_pad,
    *_parts,
    *_pixels,
    *_pool,
    *_products,
    *_quantiles,
    *_random,
    *_ranges,
    *_recurrent,
    *_reduce,
    *_replaced,
    *_rounding,
    *_running,
    *_sampling,
    *_scan,
    *_selection,
    *_sets,
    *_shape,
    *_slices,
    *_signal_windows,
    *_softmax,
    *_solve,
    *_special,
    *_stats,
    *_triangular,
]
