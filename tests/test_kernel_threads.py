"""Work split over threads: the same results, BLAS given back, errors that arrive, children that start without them."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

import minigrad
from minigrad.kernels import products, threads

threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.fixture(autouse=True)
def three_threads():
    before = minigrad.get_num_threads()
    minigrad.set_num_threads(3)
    yield
    minigrad.set_num_threads(before)


def blas():
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


def test_work_is_split_and_blas_is_held_to_one_thread_meanwhile():
    assert blas() == {3}
    assert minigrad.get_num_threads() == 3
    start = threading.Barrier(3)  # all three must be there at once

    def work(first, last):
        start.wait(10)
        return first, last, threading.get_ident(), blas()

    parts = threads.over(10, work, 1 << 40)
    assert [part[:2] for part in parts] == [(0, 3), (3, 6), (6, 10)]
    assert len({part[2] for part in parts}) == 3
    assert parts[0][2] == threading.get_ident()
    assert all(part[3] == {1} for part in parts)
    assert blas() == {3}


def test_small_work_is_not_split():
    for samples, cost in ((10, threads.WORTH), (1, 1 << 40), (0, 1 << 40)):
        assert threads.over(samples, lambda *part: part, cost) == [(0, samples)]
    assert len(threads.over(10, lambda *part: part, 2 * threads.WORTH)) == 2


@pytest.mark.parametrize("where", [0, 5])
def test_an_error_arrives_after_all_parts_have_ended(where):
    ended = []

    def work(first, last):
        if first <= where < last:
            raise MemoryError("too large")
        ended.append(first)

    with pytest.raises(MemoryError, match="too large"):
        threads.over(10, work, 1 << 40)
    assert len(ended) == 2
    assert blas() == {3}


def test_several_callers_at_once_give_blas_back_once():
    def caller():
        for _ in range(20):
            assert len(threads.over(3, lambda *part: np.ones((64, 64)) @ np.ones((64, 64)), 1 << 40)) == 3

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert blas() == {3}


def test_a_new_count_takes_effect():
    minigrad.set_num_threads(1)
    assert threads.over(4, lambda *part: part, 1 << 40) == [(0, 4)]
    assert blas() == {1}
    minigrad.set_num_threads(2)
    assert threads.over(4, lambda *part: part, 1 << 40) == [(0, 2), (2, 4)]
    assert blas() == {2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_makes_its_own_threads():
    threads.over(3, lambda *part: part, 1 << 40)
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, bytes([len(threads.over(3, lambda *part: part, 1 << 40))]))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 1) == b"\3"


def test_layers_compute_the_same_in_threads():
    """Every convolution's way, its gradients, and the recorded step around them."""

    def step():
        minigrad.manual_seed(0)
        nn = minigrad.nn
        net = nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 40, 3), nn.Conv2d(40, 33, 3, padding=1),
            nn.Conv2d(33, 48, 3, stride=2), nn.Flatten(), nn.LazyLinear(10),
        )  # fmt: skip
        x = minigrad.randn(9, 3, 32, 32, requires_grad=True)
        net(x).square().mean().backward()
        return [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]

    split = step()
    minigrad.set_num_threads(1)
    for a, b in zip(split, step(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-6 * np.abs(b).max())


def matrices(seed, *shapes):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize(("m", "k", "n"), [(40, 700, 900), (900, 700, 40), (1, 2000, 2000), (64, 70, 80), (3, 4, 5)])
@pytest.mark.parametrize("turned", [False, True])
def test_products_are_split_and_equal(m, k, n, turned, monkeypatch):
    a, b = matrices(0, (m, k), (n, k) if turned else (k, n))
    b = b.T if turned else b
    monkeypatch.setattr(threads, "_splitting", False)
    plain = a.dot(b)
    np.testing.assert_allclose(products.product(a, b), plain, atol=1e-3)
    monkeypatch.setattr(threads, "_splitting", True)
    seen = []
    monkeypatch.setattr(products, "over", lambda *args: seen.append(blas()) or threads.over(*args))
    split = products.product(a, b)
    assert split.flags.c_contiguous
    assert bool(seen) == (m * k * n >= 2 * threads.WORTH)
    np.testing.assert_allclose(split, plain, atol=1e-3)


def test_stacks_and_vectors_are_split_and_equal(monkeypatch):
    monkeypatch.setattr(threads, "_splitting", True)
    a, b, v = matrices(0, (7, 3, 90, 80), (7, 3, 80, 110), (80,))
    np.testing.assert_allclose(products.stacked(a, b), a @ b, atol=1e-3)
    np.testing.assert_allclose(products.stacked(a, b[0]), a @ b[0], atol=1e-3)
    np.testing.assert_allclose(products.with_vector(a[0, 0], v), a[0, 0] @ v, atol=1e-3)
    assert blas() == {3}


def test_two_matrices_are_a_stack_too(monkeypatch):
    """As in the derivative of `cdist`."""
    monkeypatch.setattr(threads, "_splitting", True)
    a, b = matrices(0, (300, 200), (200, 100))
    np.testing.assert_allclose(products.stacked(a, b), a @ b, atol=1e-3)
    x, y = (minigrad.tensor(m, requires_grad=True) for m in matrices(0, (400, 64), (300, 64)))
    minigrad.cdist(x, y).sum().backward()
    assert x.grad.shape == x.shape


def test_parts_see_the_callers_errstate():
    with np.errstate(invalid="raise"):
        with pytest.raises(FloatingPointError):
            threads.over(3, lambda first, last: first and np.sqrt(np.array(-1.0)), 1 << 40)


def test_the_count_is_known_before_blas_is_held(monkeypatch):
    monkeypatch.setattr(threads, "_count", None)
    with threads.held:
        pass
    assert minigrad.get_num_threads() == 3


@pytest.mark.parametrize("splitting", [False, True])
def test_products_that_do_not_fit_are_refused(splitting, monkeypatch):
    monkeypatch.setattr(threads, "_splitting", splitting)
    a, b = matrices(0, (300, 200), (300, 200))
    with pytest.raises(ValueError, match="not aligned"):
        products.product(a, b)
    with pytest.raises(ValueError, match="mismatch"):
        products.stacked(a[None], b[None])


def test_the_count_may_change_while_others_work():
    """Threads that are told to end leave no job undone."""
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for count in (1, 3, 2, 4):
                minigrad.set_num_threads(count)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(300):
            parts = threads.over(12, lambda *part: part, 1 << 40)
            assert [i for first, last in parts for i in range(first, last)] == list(range(12))
    finally:
        stop.set()
        changer.join()
