"""All types that a configuration may name, by their names in files.

They are those of InvNet's own catalogues; a test of the repository compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import combinators, conditioners, couplings, custom, elementwise, flows, hint, linear
from . import loops, networks, squeezes

TYPES: dict[str, Callable[..., Any]] = {
    "relu": elementwise.Relu,
    "leakyRelu": elementwise.LeakyRelu,
    "tanh": elementwise.Tanh,
    "softplus": elementwise.Softplus,
    "sigmoid": elementwise.Sigmoid,
    "sigmoid2": elementwise.Sigmoid2,
    "expClamp": elementwise.ExpClamp,
    "Elementwise": elementwise.Elementwise,
    "Logit": elementwise.Logit,
    "ActNorm": linear.ActNorm,
    "AffineLayer": linear.AffineLayer,
    "Conv1x1": linear.Conv1x1,
    "ShuffleSqueeze": squeezes.ShuffleSqueeze,
    "HaarSqueeze": squeezes.HaarSqueeze,
    "WaveletSqueeze": squeezes.WaveletSqueeze,
    "AsConditioner": conditioners.AsConditioner,
    "BatchNorm": conditioners.BatchNorm,
    "ConditionalResidualBlock": conditioners.ConditionalResidualBlock,
    "CustomBlock": custom.CustomBlock,
    "DenseBlock": conditioners.DenseBlock,
    "ResNet": conditioners.ResNet,
    "ResidualBlock": conditioners.ResidualBlock,
    "SymmetricBlock": conditioners.SymmetricBlock,
    "WithContext": conditioners.WithContext,
    "ChannelHalves": combinators.ChannelHalves,
    "FirstHalf": combinators.FirstHalf,
    "Flattened": combinators.Flattened,
    "Identity": combinators.Identity,
    "JoinedChannels": combinators.JoinedChannels,
    "Parallel": combinators.Parallel,
    "Reversed": combinators.Reversed,
    "Sequential": combinators.Sequential,
    "Swapped": combinators.Swapped,
    "AdditiveCoupling": couplings.AdditiveCoupling,
    "BasicCoupling": couplings.BasicCoupling,
    "ConditionalGlowCoupling": couplings.ConditionalGlowCoupling,
    "ConditionalHintCoupling": hint.ConditionalHintCoupling,
    "GlowCoupling": couplings.GlowCoupling,
    "HintCoupling": hint.HintCoupling,
    "HyperbolicLayer": couplings.HyperbolicLayer,
    "IrimCoupling": couplings.IrimCoupling,
    "Leapfrog": couplings.Leapfrog,
    "RecursiveCoupling": couplings.RecursiveCoupling,
    "Glow": networks.Glow,
    "ConditionalGlow": networks.ConditionalGlow,
    "MultiScale": networks.MultiScale,
    "MultiScaleHint": networks.MultiScaleHint,
    "ConditionalHint": networks.ConditionalHint,
    "MultiScaleConditionalHint": networks.MultiScaleConditionalHint,
    "HyperbolicNetwork": networks.HyperbolicNetwork,
    "SummarizedNetwork": networks.SummarizedNetwork,
    "MisfitGradient": loops.MisfitGradient,
    "UnrolledLoop": loops.UnrolledLoop,
    "Flow": flows.Flow,
    "StandardNormal": flows.StandardNormal,
}
