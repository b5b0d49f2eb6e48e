"""Layers: modules with parameters, under PyTorch's names."""

from tinygrad_mmb.nn import functional, init, utils
from tinygrad_mmb.nn.activation import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinygrad_mmb.nn.container import ModuleDict, ModuleList, ParameterList, Sequential
from tinygrad_mmb.nn.convolution import Conv2d
from tinygrad_mmb.nn.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d
from tinygrad_mmb.nn.embedding import Embedding
from tinygrad_mmb.nn.flatten import Flatten, Identity, Unflatten
from tinygrad_mmb.nn.linear import Linear
from tinygrad_mmb.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
)
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from tinygrad_mmb.nn.parameter import Parameter
from tinygrad_mmb.nn.pooling import AvgPool2d, MaxPool2d
from tinygrad_mmb.nn.residual import DenseBlock, Residual
from tinygrad_mmb.nn.summary import summary

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AlphaDropout",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "DenseBlock",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ParameterList",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Unflatten",
    "functional",
    "init",
    "summary",
    "utils",
]
