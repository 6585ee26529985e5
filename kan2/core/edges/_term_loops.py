"""Symbolic terms by compiled loops, for the part of Python that numba compiles.

A term c f(a x + b) + d has a *code* for its function, its place in `_compiled_terms.NAMES`. One loop evaluates all
terms of a layer with the derivatives of their functions, another carries a gradient back.
"""

import math

from kan2.core.compiling import compile_loop


@compile_loop
def value_and_slope(code, u, one):
    """Returns f(u) and f'(u) of the function of a code, in the type of u."""
    if code == 0:
        return u, one
    if code == 1:
        return u * u, u + u
    if code == 2:
        return u * u * u, (u + u + u) * u
    if code == 3:
        return (u * u) * (u * u), (u + u) * (u + u) * u
    if code == 4:
        value = one / u
        return value, -value * value
    if code == 5:
        value = math.sqrt(u)
        return value, one / (value + value)
    if code == 6:
        value = math.exp(u)
        return value, value
    if code == 7:
        return math.log(u), one / u
    if code == 8:
        return math.sin(u), math.cos(u)
    if code == 9:
        return math.cos(u), -math.sin(u)
    if code == 10:
        value = math.tanh(u)
        return value, one - value * value
    if code == 11:
        return abs(u), one if u > 0 else (-one if u < 0 else u)
    value = math.exp(-u * u)
    return value, -(u + u) * value


@compile_loop
def add_terms(x, affine, codes, sources, targets, values, slopes, sums):
    """Writes f(a x + b) and f'(a x + b) of x (batch, source), (batch, term) each, and adds c f + d to the sums."""
    one = affine.dtype.type(1)
    for i in range(len(x)):
        for t in range(len(codes)):
            value, slope = value_and_slope(codes[t], affine[t, 0] * x[i, sources[t]] + affine[t, 1], one)
            values[i, t], slopes[i, t] = value, slope
            sums[i, targets[t]] += affine[t, 2] * value + affine[t, 3]


@compile_loop
def carry_back(x, affine, sources, targets, values, slopes, gradient, of_x, of_affine):
    """Adds the gradients of x (batch, source) and of affine (term, 4) for a gradient (batch, target) of the sums."""
    for i in range(len(x)):
        for t in range(len(sources)):
            g = gradient[i, targets[t]]
            inner = g * affine[t, 2] * slopes[i, t]
            of_x[i, sources[t]] += inner * affine[t, 0]
            of_affine[t, 0] += inner * x[i, sources[t]]
            of_affine[t, 1] += inner
            of_affine[t, 2] += g * values[i, t]
            of_affine[t, 3] += g
