"""Which family an operation belongs to: the headings of the report, and who writes what."""

from __future__ import annotations

from fnmatch import fnmatch

# The first family with a fitting pattern; patterns go by the operation's dotted name.
FAMILIES = {
    "linear algebra": """linalg.* cholesky* svd* qr lu* geqrf ormqr logdet inverse pinverse triangular_solve symeig
        matrix_exp pca_lowrank matmul __rmatmul__ mm bmm mv dot vdot inner addmm* addbmm addmv addr baddbmm outer ger
        einsum tensordot kron cross trace chain_matmul cdist cov corrcoef cartesian_prod sparse.*""",
    "fft": "fft.* stft istft",
    "masked": "masked.*",
    "convolution": "nn.functional.conv* convolution nn.functional.unfold nn.functional.fold nn.functional.bilinear "
    "nn.functional.linear",
    "pooling": "nn.functional.*pool* max_pool*",
    "normalisation": "nn.functional.*norm nn.functional.normalize native_*norm* *batch_norm* nn.functional.local_res*",
    "losses": "nn.functional.*loss* nn.functional.*cross_entropy* nn.functional.kl_div nn.functional.cosine_* "
    "nn.functional.pairwise_distance nn.functional.pdist",
    "attention and embedding": "nn.functional.*attention* *flash* *efficient* nn.functional.embedding* "
    "nn.functional.multi_head*",
    "resampling": "nn.functional.interpolate nn.functional.upsample* nn.functional.grid_sample grid_sampler* "
    "nn.functional.affine_grid nn.functional.pixel* nn.functional.channel_shuffle nn.functional.pad constant_pad_nd",
    "random": "nn.functional.*dropout* bernoulli normal *_like nn.functional.rrelu nn.functional.gumbel* cauchy "
    "exponential geometric log_normal uniform randn* rand*",
    "activation": "nn.functional.* softmax log_softmax prelu rrelu",
    "special": "special.* polygamma mvlgamma lgamma digamma i0 erfinv igamma* nextafter sinc xlogy",
    "indexing and scatter": """__getitem__ gather scatter* *index* take* masked_* put where select* slice* narrow*
        as_strided* diagonal* diag* tril triu unbind* split* chunk tensor_split hsplit vsplit dsplit
        nonzero* argwhere""",
    "reduction": """sum* mean prod amax amin aminmax max.* min.* max min var* std* norm logsumexp median nanmedian mode
        nansum nanmean quantile nanquantile kthvalue topk sort msort cum* logcumsumexp dist renorm count_nonzero trapz
        trapezoid cumulative_trapezoid diff gradient unique* all any hist* nanmean""",
    "shape": """reshape* view* flatten unflatten ravel transpose* permute* t T H mT mH adjoint squeeze* unsqueeze*
        expand* broadcast_* repeat* tile cat concat* stack *stack meshgrid flip* roll rot90 movedim moveaxis swap*
        contiguous clone unfold* atleast_* block_diag combinations resolve_* detach resize* alias* lift* positive
        t_copy unsafe_chunk unsafe_split""",
    "creation and casts": "float double half bfloat16 chalf cfloat cdouble to to_* type_as full* new_* empty* zeros* "
    "ones* zero_ fill fill_ real imag complex polar copy copy_ item",
}


def family(name: str) -> str:
    """The family of the operation `name`; whatever fits nowhere is elementwise."""
    for title, patterns in FAMILIES.items():
        if any(fnmatch(name, pattern) for pattern in patterns.split()):
            return title
    return "elementwise"
