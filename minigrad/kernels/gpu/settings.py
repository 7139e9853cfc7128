"""What NVIDIA's libraries may do: the switches behind `torch.backends`, which `minigrad.compat` sets and kernels read.

    from minigrad.kernels.gpu import settings

    if settings.cudnn_tf32: ...

TF32 rounds the factors of float32 products to 11 bits and is many times as fast. torch allows it, before anybody has
set anything, for convolutions and not for matrix products.
"""

from __future__ import annotations

deterministic = False  # torch.use_deterministic_algorithms

# torch.set_float32_matmul_precision; "high" and "medium" allow TF32, as does torch.backends.cuda.matmul.allow_tf32
matmul_precision = "highest"

cudnn_enabled = True  # torch.backends.cudnn: these and what follows
cudnn_tf32 = True
cudnn_deterministic = False
cudnn_benchmark = False  # time the ways to compute a shape at its first use, and keep the fastest
cudnn_benchmark_limit = 10  # how many of them; 0 for all
