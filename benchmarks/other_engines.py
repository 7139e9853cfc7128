"""A `Chain` on engines whose API is not torch's: JAX, HIPS autograd, MyGrad and tinygrad.

An engine is a table of functions under torch's names for layers, and the way it steps: jitted where it can, on
gradients where it has no optimizer, all with the same parameters, data and update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.workloads import Chain, Step

Functions = dict[str, Callable[..., Any]]
Moments = tuple[Any, ...]


def loss_of(functions: Functions, chain: Chain, parameters: Any, x: Any, y: Any) -> Any:
    """The loss of the chain; NotImplementedError for a layer that the table lacks."""
    weights = iter(parameters)
    for name, *sizes in chain.layers:
        if name == "Flatten":
            x = x.reshape(x.shape[0], -1)
        elif name not in functions:
            raise NotImplementedError(f"no {name}")
        else:
            own = [next(weights), next(weights)] if name in ("Linear", "Conv2d") else sizes
            x = functions[name](x, *own)
    return functions[chain.loss](x, y)


def update(chain: Chain, p: Any, g: Any, moments: Moments, t: Any) -> tuple[Any, Moments]:
    """Parameter and moments after step t, 1 the first: SGD (with momentum: v = m v + g), or Adam."""
    name, settings = chain.optimizer
    lr, momentum = settings["lr"], settings.get("momentum", 0.0)
    if name == "Adam":
        m, v = moments
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return p - lr / (1 - 0.9**t) * m / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8), (m, v)
    if momentum:
        v = momentum * moments[0] + g
        return p - lr * v, (v,)
    return p - lr * g, ()


def start(chain: Chain) -> tuple[list[Any], list[Moments]]:
    """Parameters, and for each the zeros that its moments start from."""
    name, settings = chain.optimizer
    count = 2 if name == "Adam" else 1 if settings.get("momentum") else 0
    parameters = list(chain.parameters())
    return parameters, [(0 * p,) * count for p in parameters]


def jax_step(chain: Chain) -> Step:
    """One jitted function a step, whose buffers are donated to the next."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    functions: Functions = {
        "Linear": lambda x, w, b: x @ w.T + b,
        "Conv2d": lambda x, w, b: lax.conv(x, w, (1, 1), "VALID") + b[:, None, None],
        "ReLU": jax.nn.relu,
        "MaxPool2d": lambda x, n: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, n, n), (1, 1, n, n), "VALID"),
        "CrossEntropyLoss": lambda x, y: -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean(),
        "MSELoss": lambda x, y: ((x - y) ** 2).mean(),
    }

    def train(state: Any, x: Any, y: Any) -> Any:
        parameters, moments, t = state
        loss, gradients = jax.value_and_grad(lambda p: loss_of(functions, chain, p, x, y))(parameters)
        new = [update(chain, p, g, m, t) for p, g, m in zip(parameters, gradients, moments, strict=True)]
        return ([p for p, _ in new], [m for _, m in new], t + 1), loss

    compiled = jax.jit(train, donate_argnums=0)
    state = jax.tree.map(jnp.copy, (*start(chain), 1.0))
    x, y = map(jnp.asarray, chain.data())

    def step() -> Any:
        nonlocal state
        state, loss = jax.block_until_ready(compiled(state, x, y))
        return loss

    return step


def autograd_step(chain: Chain) -> Step:
    """NumPy arrays; convolutions are left out: the only one that autograd differentiates is far slower than a loop."""
    import autograd
    from autograd import numpy as anp
    from autograd.scipy.special import logsumexp

    functions: Functions = {
        "Linear": lambda x, w, b: x @ w.T + b,
        "ReLU": lambda x: anp.maximum(x, 0),
        "CrossEntropyLoss": lambda x, y: anp.mean(logsumexp(x, axis=1) - x[anp.arange(len(y)), y]),
        "MSELoss": lambda x, y: anp.mean((x - y) ** 2),
    }
    x, y = chain.data()
    value_and_grad = autograd.value_and_grad(lambda parameters: loss_of(functions, chain, parameters, x, y))
    parameters, moments = start(chain)
    t = 0

    def step() -> Any:
        nonlocal t
        t += 1
        loss, gradients = value_and_grad(parameters)
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            parameters[i], moments[i] = update(chain, p, g, moments[i], t)
        return loss

    return step


def mygrad_step(chain: Chain) -> Step:
    import mygrad
    from mygrad.nnet import layers, losses

    functions: Functions = {
        "Linear": lambda x, w, b: x @ w.T + b,
        "Conv2d": lambda x, w, b: layers.conv_nd(x, w, stride=1) + b.reshape(-1, 1, 1),
        "ReLU": mygrad.nnet.relu,
        "MaxPool2d": lambda x, n: layers.max_pool(x, (n, n), n),
        "CrossEntropyLoss": losses.softmax_crossentropy,
        "MSELoss": lambda x, y: ((x - y) ** 2).mean(),
    }
    x, y = chain.data()
    arrays, moments = start(chain)
    parameters = [mygrad.tensor(p, copy=False) for p in arrays]
    t = 0

    def step() -> Any:
        nonlocal t
        t += 1
        loss = loss_of(functions, chain, parameters, x, y)
        loss.backward()
        for i, p in enumerate(parameters):
            new, moments[i] = update(chain, p.data, p.grad, moments[i], t)
            parameters[i] = mygrad.tensor(new, copy=False)
        return loss

    return step


def tinygrad_step(chain: Chain) -> Step:
    """The whole step in a TinyJit, with tinygrad's own optimizers."""
    from tinygrad import Context, Tensor, TinyJit
    from tinygrad.nn import optim

    functions: Functions = {
        "Linear": lambda x, w, b: x.linear(w.T, b),
        "Conv2d": lambda x, w, b: x.conv2d(w, b),
        "ReLU": lambda x: x.relu(),
        "MaxPool2d": lambda x, n: x.max_pool2d((n, n)),
        "CrossEntropyLoss": lambda x, y: x.sparse_categorical_crossentropy(y),
        "MSELoss": lambda x, y: ((x - y) ** 2).mean(),
    }
    parameters = [Tensor(p).is_param_() for p in chain.parameters()]
    name, settings = chain.optimizer
    optimizer = getattr(optim, name)(parameters, **settings)
    x, y = map(Tensor, chain.data())

    @TinyJit
    def train() -> Any:
        optimizer.zero_grad()
        loss = loss_of(functions, chain, parameters, x, y).backward()
        return loss.realize(*optimizer.schedule_step())

    def step() -> Any:
        with Context(TRAINING=1):
            loss = train()
        loss.item()
        return loss

    return step
