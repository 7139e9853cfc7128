"""The modified Bessel functions I0 and I1, times exp(-|x|), on arrays of float64; other dtypes go through it.

    exp(-x) I_n(x) = x^n SMALL_n(x / 4 - 1)               0 <= x <= 8
    exp(-x) I_n(x) = LARGE_n(16 / x - 1) / sqrt(x)        x > 8

The polynomials are Chebyshev interpolants, computed by `python -m reference.fit_special`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from minigrad.kernels.special import by_blocks, polynomial

SMALL_0 = (
    -1.601973429472564e-08, 5.753995763975938e-08, -8.791296325157322e-08, 2.699153146632741e-07,
    -1.1360524712119476e-06, 3.40892232481125e-06, -9.194264364358614e-06, 2.4986432931858343e-05,
    -6.555606021032439e-05, 0.00016258361907161146, -0.0003828745840656792, 0.0008562120964037982,
    -0.001811898032010941, 0.0036171685199186195, -0.006792396673321815, 0.011960065956449436, -0.019682655309282406,
    0.030177914326369393, -0.04298594937721531, 0.05677703173239174, -0.06954119562303405, 0.07927522592865593,
    -0.08496338091593245, 0.08734341617468505, -0.08904344136076327, 0.0945156285399639, -0.11300432688620547,
    0.20700192122398667,
)  # fmt: skip

LARGE_0 = (
    2.0820835852793106e-11, -5.905024573995148e-11, -1.5066113686101474e-10, 4.4789181847911815e-10,
    5.122212147228388e-10, -1.5930354799216344e-09, -1.1448789558755036e-09, 3.5985362919394714e-09,
    2.1053080134403423e-09, -5.91556056510856e-09, -3.905230623712341e-09, 7.406235049001522e-09,
    7.737147033780934e-09, -5.394456734259438e-09, -1.346629294837396e-08, -6.750552282740284e-09,
    7.566352487698237e-09, 2.15488936175863e-08, 3.932437699533459e-08, 8.872214307451732e-08, 2.9735996224521226e-07,
    1.4838475687894938e-06, 1.1143033787545386e-05, 0.00013621607439186705, 0.0033605519836678944, 0.4021765094450081,
)  # fmt: skip

SMALL_1 = (
    -1.3931836382589292e-09, 5.211654337723065e-09, -9.144761049555143e-09, 2.9883402742599985e-08,
    -1.2376686539665326e-07, 3.9091632529126733e-07, -1.133551346432692e-06, 3.2758896983910484e-06,
    -9.135581253751598e-06, 2.4248618918164148e-05, -6.142435066991627e-05, 0.0001484126353082137,
    -0.00034117562574038554, 0.0007445158546973146, -0.0015388747130763492, 0.003005761422600446,
    -0.0055345678088487725, 0.009583962342948091, -0.015571309250544394, 0.023686016933733296, -0.03367135552039122,
    0.04467457262304859, -0.05528003922703299, 0.06376740371333725, -0.06848260620582576, 0.06805759990951267,
    -0.06112433802966629, 0.04468770987560883,
)  # fmt: skip

LARGE_1 = (
    -1.9677083272584384e-11, 6.135932778393812e-11, 1.417650842869536e-10, -4.6561597954216946e-10,
    -4.798751536934023e-10, 1.657764699456319e-09, 1.0715528639398075e-09, -3.75344338735913e-09,
    -1.992076551203188e-09, 6.202984113000443e-09, 3.803814960536081e-09, -7.863004697555056e-09,
    -7.816968266767898e-09, 5.963645798166707e-09, 1.408852075202545e-08, 6.737493433374833e-09, -8.43880090582137e-09,
    -2.337446787242448e-08, -4.312778920167609e-08, -1.0001282610189342e-07, -3.4838567401229716e-07,
    -1.8349101357991557e-06, -1.5038547197358572e-05, -0.00021923576383382282, -0.009749577193235768,
    0.38939845902587233,
)  # fmt: skip


def i0e(x: Any, xp: ModuleType) -> Any:
    """exp(-|x|) I0(x)."""
    return by_blocks(_i0e, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def i1e(x: Any, xp: ModuleType) -> Any:
    """exp(-|x|) I1(x)."""
    return by_blocks(_i1e, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def i0(x: Any, xp: ModuleType) -> Any:
    """I0(x), which overflows where exp(|x|) does."""
    return by_blocks(_i0, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def i1(x: Any, xp: ModuleType) -> Any:
    """I1(x), which overflows where exp(|x|) does."""
    return by_blocks(_i1, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def _i0e(x: Any, xp: ModuleType) -> Any:
    size = xp.abs(x)
    near, far = xp.minimum(size, 8), xp.maximum(size, 8)
    large = polynomial(LARGE_0, 16 / far - 1, xp) / xp.sqrt(far)
    return xp.where(size <= 8, polynomial(SMALL_0, near / 4 - 1, xp), large)


def _i1e(x: Any, xp: ModuleType) -> Any:
    size = xp.abs(x)
    near, far = xp.minimum(size, 8), xp.maximum(size, 8)
    large = polynomial(LARGE_1, 16 / far - 1, xp) / xp.sqrt(far)
    return xp.copysign(xp.where(size <= 8, near * polynomial(SMALL_1, near / 4 - 1, xp), large), x)


def _i0(x: Any, xp: ModuleType) -> Any:
    return xp.exp(xp.abs(x)) * _i0e(x, xp)


def _i1(x: Any, xp: ModuleType) -> Any:
    return xp.exp(xp.abs(x)) * _i1e(x, xp)
