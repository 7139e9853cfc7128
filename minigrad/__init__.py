"""minigrad: reverse-mode automatic differentiation and optimizers on NumPy and CuPy arrays, with torch's eager API."""

import warnings as _warnings
from math import e, inf, nan, pi

from minigrad import allocator as _allocator
from minigrad import autograd, cuda, distributions, fft, func, linalg, masked, nn, optim, special, testing, utils
from minigrad.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from minigrad.autograd.anomaly import is_anomaly_check_nan_enabled, is_anomaly_enabled
from minigrad.autograd.mode import is_inference_mode_enabled
from minigrad.backend import (
    bfloat16,
    complex64,
    complex128,
    device,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from minigrad.backend import bool_ as bool
from minigrad.compat import (
    accelerator,
    amp,
    backends,
    compiler,
    distributed,
    hub,
    jit,
    mps,
    multiprocessing,
    onnx,
    types,
    xpu,
)
from minigrad.compat.amp import GradScaler, autocast, is_autocast_enabled
from minigrad.compat.imports import as_torch
from minigrad.compat.settings import *
from minigrad.dtypes import *
from minigrad.facts import *
from minigrad.formats import *
from minigrad.func import vmap
from minigrad.legacy import *
from minigrad.ops import *
from minigrad.ops import tensor as tensor  # the function: `minigrad.tensor` was the module until here
from minigrad.optim import swa_utils as _swa_utils  # which needs modules, so that `optim` cannot import it
from minigrad.printing import set_printoptions
from minigrad.random import (
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from minigrad.serialization import load, save
from minigrad.size import Size
from minigrad.tensor import Tensor
from minigrad.version import __version__

# isort: split
from minigrad.compiled import *  # after those of `ops`, of which these have other parameters

# torch computes inf and nan in silence; NumPy's warnings about them are silenced for minigrad's own arithmetic only.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad\.")
_allocator.keep_freed_memory()

newaxis = None
OutOfMemoryError = cuda.OutOfMemoryError
float, double, half, int, long, short = float32, float64, float16, int32, int64, int16
