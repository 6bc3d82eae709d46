"""Element-wise functions, which condition couplings as scales, and layers of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentError
from .core import Bijection, log_sigmoid_slope, per_sample, softplus


class Activation:
    """y = f(x), element by element."""

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def log(self, x: Tensor) -> Tensor:
        """log f(x), of a positive function."""
        return self(x).log()


class InvertibleActivation(Activation):
    """A monotone function onto its range."""

    def inverse(self, y: Tensor) -> Tensor:
        """The x of y; NaN for numbers outside of the range."""
        raise NotImplementedError

    def log_slope(self, x: Tensor) -> Tensor:
        """The logarithm of the derivative at x."""
        raise NotImplementedError


class Relu(Activation):
    """max(x, 0)"""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(x)


class LeakyRelu(InvertibleActivation):
    """x for x > 0, slope·x otherwise."""

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)

    def inverse(self, y: Tensor) -> Tensor:
        return torch.where(y > 0, y, y / self.slope)

    def log_slope(self, x: Tensor) -> Tensor:
        return (x <= 0).to(x.dtype) * math.log(self.slope)


class Tanh(InvertibleActivation):
    """The hyperbolic tangent."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def inverse(self, y: Tensor) -> Tensor:
        return torch.atanh(y)

    def log_slope(self, x: Tensor) -> Tensor:
        return log_sigmoid_slope(2 * x) + math.log(4)


class Softplus(InvertibleActivation):
    """low + log(1 + exp x)"""

    def __init__(self, low: float = 0) -> None:
        self.low = low

    def __call__(self, x: Tensor) -> Tensor:
        return softplus(x) + self.low

    def inverse(self, y: Tensor) -> Tensor:
        v = y - self.low
        return v + torch.log(-torch.expm1(-v))

    def log_slope(self, x: Tensor) -> Tensor:
        return -softplus(-x)


class Sigmoid(InvertibleActivation):
    """low + (high − low)·σ(x)"""

    def __init__(self, low: float = 0, high: float = 1) -> None:
        self.low, self.high = low, high

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) * (self.high - self.low) + self.low

    def log(self, x: Tensor) -> Tensor:
        return super().log(x) if self.low else math.log(self.high) - softplus(-x)

    def inverse(self, y: Tensor) -> Tensor:
        return torch.log(y - self.low) - torch.log(self.high - y)

    def log_slope(self, x: Tensor) -> Tensor:
        return log_sigmoid_slope(x) + math.log(self.high - self.low)


class Sigmoid2(Sigmoid):
    """2σ(x) − 1"""

    def __init__(self) -> None:
        super().__init__(-1, 1)


class Exp(InvertibleActivation):
    """low + exp(x)"""

    def __init__(self, low: float = 0) -> None:
        self.low = low

    def __call__(self, x: Tensor) -> Tensor:
        return torch.exp(x) + self.low

    def log(self, x: Tensor) -> Tensor:
        return softplus(x - math.log(self.low)) + math.log(self.low) if self.low else x

    def inverse(self, y: Tensor) -> Tensor:
        return torch.log(y - self.low)

    def log_slope(self, x: Tensor) -> Tensor:
        return x


class ExpClamp(InvertibleActivation):
    """exp(c·tanh(kx)), between exp(−c) and exp(c); k is 1/c where it is left out."""

    def __init__(self, clamp: float = 2, rate: float | None = None) -> None:
        self.clamp = clamp
        self.rate = 1 / clamp if rate is None else rate

    def __call__(self, x: Tensor) -> Tensor:
        return torch.exp(self.log(x))

    def log(self, x: Tensor) -> Tensor:
        return self.clamp * torch.tanh(self.rate * x)

    def inverse(self, y: Tensor) -> Tensor:
        return torch.atanh(torch.log(y) / self.clamp) / self.rate

    def log_slope(self, x: Tensor) -> Tensor:
        bend = log_sigmoid_slope(2 * self.rate * x) + math.log(4)
        return self.log(x) + bend + math.log(self.clamp * self.rate)


class AtanClamp(InvertibleActivation):
    """exp(c·(2/π)·arctan(kx)), between exp(−c) and exp(c); k is π/2c where it is left out."""

    def __init__(self, clamp: float = 2, rate: float | None = None) -> None:
        self.rate = math.pi / (2 * clamp) if rate is None else rate
        self.factor = 2 * clamp / math.pi

    def __call__(self, x: Tensor) -> Tensor:
        return torch.exp(self.log(x))

    def log(self, x: Tensor) -> Tensor:
        return self.factor * torch.atan(self.rate * x)

    def inverse(self, y: Tensor) -> Tensor:
        return torch.tan(torch.log(y) / self.factor) / self.rate

    def log_slope(self, x: Tensor) -> Tensor:
        spread = torch.log1p((self.rate * x) ** 2)
        return self.log(x) - spread + math.log(self.factor * self.rate)


class SoftsignClamp(InvertibleActivation):
    """exp(x/(1 + |x|/c)), between exp(−c) and exp(c)."""

    def __init__(self, clamp: float = 2) -> None:
        self.clamp = clamp

    def __call__(self, x: Tensor) -> Tensor:
        return torch.exp(self.log(x))

    def log(self, x: Tensor) -> Tensor:
        return x / (1 + x.abs() / self.clamp)

    def inverse(self, y: Tensor) -> Tensor:
        u = torch.log(y)
        return u / (1 - u.abs() / self.clamp)

    def log_slope(self, x: Tensor) -> Tensor:
        return self.log(x) - 2 * torch.log1p(x.abs() / self.clamp)


class ShiftedSigmoid(InvertibleActivation):
    """low + (high − low)·σ(x + shift)"""

    def __init__(self, low: float = 0, high: float = 1, shift: float = 2) -> None:
        self.f, self.shift = Sigmoid(low, high), shift

    def __call__(self, x: Tensor) -> Tensor:
        return self.f(x + self.shift)

    def log(self, x: Tensor) -> Tensor:
        return self.f.log(x + self.shift)

    def inverse(self, y: Tensor) -> Tensor:
        return self.f.inverse(y) - self.shift

    def log_slope(self, x: Tensor) -> Tensor:
        return self.f.log_slope(x + self.shift)


class SoftplusScale(InvertibleActivation):
    """(factor/rate)·log(1 + exp(rate·x))"""

    def __init__(self, factor: float = 1, rate: float = 1) -> None:
        self.f, self.factor, self.rate = Softplus(), factor, rate

    def __call__(self, x: Tensor) -> Tensor:
        return self.f(self.rate * x) * (self.factor / self.rate)

    def log(self, x: Tensor) -> Tensor:
        u = self.rate * x
        # Below −36, log(1 + exp u) is exp u to the digits of float64, and exp u may be zero.
        near = torch.log(softplus(u.clamp(min=-36))) + (u + 36).clamp(max=0)
        return near + math.log(self.factor / self.rate)

    def inverse(self, y: Tensor) -> Tensor:
        return self.f.inverse(y * (self.rate / self.factor)) / self.rate

    def log_slope(self, x: Tensor) -> Tensor:
        return self.f.log_slope(self.rate * x) + math.log(self.factor)


class Elu(Activation):
    """x for x > 0, α(exp x − 1) otherwise."""

    def __init__(self, alpha: float = 1) -> None:
        self.alpha = alpha

    def __call__(self, x: Tensor) -> Tensor:
        return functional.elu(x, self.alpha)


class Gelu(Activation):
    """x·½(1 + tanh(√(2/π)(x + 0.044715 x³)))"""

    def __call__(self, x: Tensor) -> Tensor:
        return functional.gelu(x, approximate="tanh")


class Silu(Activation):
    """x·σ(x)"""

    def __call__(self, x: Tensor) -> Tensor:
        return functional.silu(x)


class Elementwise(Bijection):
    """y = f(x) for an invertible f; logdet = Σ log f′(x)."""

    def __init__(self, activation: InvertibleActivation) -> None:
        super().__init__()
        if not isinstance(activation, InvertibleActivation):
            raise ArgumentError("activation has no inverse; expected one that has, such as tanh")
        self.f = activation

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        return self.f(x), per_sample(self.f.log_slope(x))

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        x = self.f.inverse(y)
        return x, -per_sample(self.f.log_slope(x))


class Logit(Bijection):
    """y = log(p/(1 − p)) with p = λ + (1 − 2λ)x, for x in [0, 1]."""

    def __init__(self, lambda_: float = 1e-4) -> None:
        super().__init__()
        self.least = lambda_

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        width = 1 - 2 * self.least
        log_p = torch.log(x * width + self.least)
        # From 1 − x, which is exact where x is near 1 and all digits are needed.
        log_q = torch.log((1 - x) * width + self.least)
        return log_p - log_q, per_sample(math.log(width) - (log_p + log_q))

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        width = 1 - 2 * self.least
        x = (torch.sigmoid(y) - self.least) / width
        return x, per_sample(log_sigmoid_slope(y) - math.log(width))
