"""torch.func: derivatives as functions of functions, `grad(f)` beside `f`, and `vmap`; they nest to any depth.

`level.py` says how the derivatives of one function are kept apart from those around it, `tree.py` how tuples, lists and
dicts of tensors are taken apart and put together again; the rest is a file a family.
"""

from minigrad.func.gradients import grad, grad_and_value, jvp, linearize, vjp
from minigrad.func.jacobians import hessian, jacfwd, jacrev
from minigrad.func.modules import functional_call, stack_module_state
from minigrad.func.vmap import vmap as vmap  # the function, where `minigrad.func.vmap` was the module until here

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "vjp",
    "vmap",
]
