"""Optimizers, one algorithm per file, and schedules for their learning rates."""

from tinygrad_mmb.optim import lr_scheduler as lr_scheduler
from tinygrad_mmb.optim.adagrad import Adagrad as Adagrad
from tinygrad_mmb.optim.adam import Adam as Adam
from tinygrad_mmb.optim.adamw import AdamW as AdamW
from tinygrad_mmb.optim.grad_warning import warn_if_grad_accumulates as warn_if_grad_accumulates
from tinygrad_mmb.optim.optimizer import Optimizer as Optimizer
from tinygrad_mmb.optim.rmsprop import RMSprop as RMSprop
from tinygrad_mmb.optim.sgd import SGD as SGD
