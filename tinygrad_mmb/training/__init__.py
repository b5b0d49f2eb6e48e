"""The training loop and what surrounds it: callbacks, checkpoints, metrics, pictures, run folders.

Nothing here needs more than NumPy and safetensors; rich and matplotlib are imported when a bar or a
picture is drawn.
"""

from tinygrad_mmb.training.batches import GradientNoise, gradient_noise, lr_for_batch_size
from tinygrad_mmb.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LRScheduler,
    ModelCheckpoint,
    TerminateOnNaN,
    TrainingDiverged,
)
from tinygrad_mmb.training.checkpoint import (
    DamagedCheckpoint,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from tinygrad_mmb.training.evaluate import evaluate, predict
from tinygrad_mmb.training.first_look import check_initial_loss, watch_saturation
from tinygrad_mmb.training.metrics import (
    accuracy,
    auc,
    confusion_matrix,
    error_rate,
    rejection,
    roc_curve,
)
from tinygrad_mmb.training.plots import (
    plot_confusion_matrix,
    plot_history,
    plot_misclassified,
    text_curves,
)
from tinygrad_mmb.training.progress import ProgressBar
from tinygrad_mmb.training.trainer import Trainer

__all__ = [
    "CSVLogger",
    "Callback",
    "DamagedCheckpoint",
    "EarlyStopping",
    "GradientNoise",
    "LRScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "TerminateOnNaN",
    "Trainer",
    "TrainingDiverged",
    "accuracy",
    "auc",
    "check_initial_loss",
    "confusion_matrix",
    "error_rate",
    "evaluate",
    "gradient_noise",
    "latest_checkpoint",
    "load_checkpoint",
    "lr_for_batch_size",
    "plot_confusion_matrix",
    "plot_history",
    "plot_misclassified",
    "predict",
    "rejection",
    "roc_curve",
    "save_checkpoint",
    "text_curves",
    "watch_saturation",
]
