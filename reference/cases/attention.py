"""Attention, and bags of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reference.case import SUMS, Case, Fixed, Sample
from reference.strategies import Draw, Recipe

ONE_OP = {"grad_fn": "torch's is composed of other operations"}
FUSED = {
    **ONE_OP,
    "verdict": "torch's fused kernel refuses masks of fewer dims, and does not look at the sizes of values",
    "second_order": "torch's fused kernel has none",
}


def attended(max_front: int, shared: bool = False) -> Recipe:
    """scaled_dot_product_attention(query, key, value, ...), with a mask of any kind or without."""

    def draw(d: Draw) -> Sample:
        front = d.shape(max_front, max_front, 1, 3) if max_front == 2 else d.shape(0, 1, 1, 3)
        rows, columns, size = d.size(1, 4), d.size(1, 4), d.size(1, 4)
        heads = front
        options: dict[str, Any] = {}
        if shared:
            heads, front = front, (*front[:-1], front[-1] * d.size(1, 3))
            options["enable_gqa"] = True
        mask = d.one_of(None, "causal", "bool", "float")
        if mask == "causal":
            options["is_causal"] = True
        elif mask is not None:
            full = (*front, rows, columns)
            of_mask = full[d.size(0, len(front)) :]
            options["attn_mask"] = d.bools(of_mask) if mask == "bool" else d.floats(of_mask)
            if mask == "float" and d.flag():
                options["attn_mask"] = Fixed(options["attn_mask"])
        if d.flag():
            options["scale"] = d.one_of(0.5, 2.0)
        query, key = d.floats((*front, rows, size)), d.floats((*heads, columns, size))
        return Sample(query, key, d.floats((*heads, columns, d.size(1, 4))), **options)

    return draw


def dropped(d: Draw) -> Sample:
    """Weights of which some are dropped: as many random numbers are drawn as torch draws."""
    sample = attended(2)(d)
    return Sample(*sample.args, **sample.kwargs, dropout_p=d.one_of(0.25, 0.5, 1.0))


def seeded(T: Any, *args: Any, **options: Any) -> Any:
    T.manual_seed(0)
    return T.nn.functional.scaled_dot_product_attention(*args, **options)


def headed(d: Draw) -> Sample:
    """multi_head_attention_forward(query, key, value, ...), with masks, more keys and without the batch."""

    def floats(*shape: int) -> Any:
        return d.floats(shape, -1, 1)  # larger ones would make the softmax a choice

    heads, size = d.size(1, 3), d.size(1, 3)
    features, rows, columns = heads * size, d.size(1, 4), d.size(1, 4)
    batch = (d.size(1, 3),) if d.flag() else ()
    n = batch[0] if batch else 1
    k_size, v_size = (d.size(1, 4), d.size(1, 4)) if (separate := d.flag()) else (features, features)
    query, key = floats(rows, *batch, features), floats(columns, *batch, k_size)
    options: dict[str, Any] = {"need_weights": d.flag(), "average_attn_weights": d.flag()}
    if separate:
        names = {"q_proj_weight": features, "k_proj_weight": k_size, "v_proj_weight": v_size}
        options |= {name: floats(features, n) for name, n in names.items()} | {"use_separate_proj_weight": True}
    more = [floats(1, 1, features), floats(1, 1, features)] if d.flag() else [None, None]
    if d.flag():
        options["key_padding_mask"] = Fixed(floats(*batch, columns))
    if d.flag():
        mask = d.one_of((rows, columns), (n * heads, rows, columns))
        options["attn_mask"] = d.bools(mask) if more[0] is not None else Fixed(floats(*mask))
    return Sample(
        query,
        key,
        floats(columns, *batch, v_size),
        features,
        heads,
        None if separate else floats(3 * features, features),
        floats(3 * features) if d.flag() else None,
        *more,
        d.flag(),
        0.0,
        floats(features, features),
        floats(features),
        **options,
    )


def bags(d: Draw) -> Sample:
    """embedding_bag(indices, weight, offsets, ...), bags being empty too."""
    n, features, mode = d.size(1, 5), d.size(1, 3), d.one_of("sum", "mean", "max")
    options: dict[str, Any] = {"mode": mode}
    weight = d.floats((n, features), ties=mode == "max")
    if d.flag():
        options["padding_idx"] = d.size(-n, n - 1)
    if d.flag():
        indices, offsets = d.labels((d.size(1, 4), d.size(1, 4)), n), None
    else:
        indices = d.labels((d.size(1, 6),), n)
        offsets = np.sort(d.ints((d.size(1, 4),), 0, len(indices)))
        offsets[0] = 0
        if d.flag() and len(offsets) > 1:
            options["include_last_offset"], offsets[-1] = True, len(indices)
    if mode == "sum" and d.flag():
        options["per_sample_weights"] = d.floats(indices.shape)
    return Sample(indices, weight, offsets, **options)


def by_frequency(T: Any, indices: Any, weight: Any) -> Any:
    """The sums of bags, gradients divided by frequencies: torch's own function divides some by those of another row."""
    if T is torch:
        return T.nn.functional.embedding(indices, weight, scale_grad_by_freq=True).sum(1)
    return T.nn.functional.embedding_bag(indices, weight, mode="sum", scale_grad_by_freq=True)


BAGS = {
    "grad_fn": "composed of other operations than torch's",
    "verdict": "torch does not look at the order of offsets, nor at dtypes that differ",
    "dtypes": "torch has kernels for some pairs of dtypes only",
    "second_order": "torch has none",
}
HEADED = {
    **ONE_OP,
    "verdict": "composed of operations that are tested one by one, and after checks that torch's has too",
    "dtypes": "composed of operations that are tested one by one",
    "layouts": "torch cannot view some projections as heads",
    "second_order": "torch's fused kernel has none",
}

CASES = [
    Case("nn.functional.multi_head_attention_forward", headed, tolerance=SUMS, skip=HEADED),
    Case("nn.functional.embedding_bag", bags, tolerance=SUMS, skip=BAGS),
    Case(
        "nn.functional.embedding_bag",
        lambda d: Sample(d.labels((d.size(1, 4), d.size(1, 4)), 3), d.floats((3, d.size(1, 3)))),
        "by frequency",
        call=by_frequency,
        tolerance=SUMS,
        skip=BAGS | {"finite_difference": "the gradient is another one by definition"},
    ),
    Case("nn.functional.scaled_dot_product_attention", attended(1), tolerance=SUMS, skip=ONE_OP),
    Case("nn.functional.scaled_dot_product_attention", attended(2), "heads", tolerance=SUMS, skip=FUSED),
    Case("nn.functional.scaled_dot_product_attention", attended(2, shared=True), "shared", tolerance=SUMS, skip=FUSED),
    Case(
        "nn.functional.scaled_dot_product_attention",
        dropped,
        "dropout",
        call=seeded,
        tolerance=SUMS,
        skip=FUSED,
    ),
]
