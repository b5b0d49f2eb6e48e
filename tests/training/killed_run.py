"""A training run that dies where it is told to: python -m tests.training.killed_run FOLDER [MOMENT]
[--forget WHAT].

MOMENT is step:17 (after batch 17), epoch:2 (after epoch 2, before its checkpoint), saved:2 (after
that checkpoint), sealing:2 (between the arrays of checkpoint 2 and its JSON file) or writing:2
(within its temporary file). A run that lives to its end prints the checksum of weights, optimizer
state and random streams.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
from pathlib import Path

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb import atomic, nn, optim
from tinygrad_mmb.data import DataLoader, TensorDataset
from tinygrad_mmb.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_mmb.training import (
    EarlyStopping,
    LRScheduler,
    ModelCheckpoint,
    Trainer,
    accuracy,
    checkpoint,
    state_tree,
)
from tinygrad_mmb.training import trainer as trainer_module
from tinygrad_mmb.training.callbacks import Callback

EPOCHS, BATCHES, SAVE_EVERY = 4, 8, 3


def die() -> None:
    """What the kernel does when memory runs out: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


class Killer(Callback):
    runs_last = True

    def __init__(self, moment: str, number: int, of: tuple[str, ...]) -> None:
        self.moment, self.number = moment if moment in of else "never", number

    def on_step_end(self, trainer, values) -> None:
        if self.moment == "step" and trainer.step == self.number:
            die()

    def on_epoch_end(self, trainer, metrics) -> None:
        if self.moment in ("epoch", "saved") and trainer.epoch == self.number:
            die()


def die_while_writing(moment: str, number: int) -> None:
    """Let the process die inside the `number`th checkpoint."""
    original, calls = atomic.write_bytes, []

    def write_bytes(path: Path, data: bytes) -> None:
        calls.append(path)
        if moment == "writing" and path.suffix == ".safetensors" and len(calls) == number:
            atomic.write_with(path, lambda t: (t.write_bytes(data[: len(data) // 2]), die()))
        original(path, data)
        if moment == "sealing" and len(calls) == number:
            die()

    checkpoint.atomic.write_bytes = write_bytes


def make() -> tuple[Trainer, DataLoader, DataLoader, list[Callback]]:
    """Everything that has a state: dropout, batch norm, AdamW, a schedule, a shuffled order, early
    stopping.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((61, 5)).astype(np.float32)
    t = (x[:, 0] + 0.5 * rng.standard_normal(61) > 0).astype(np.int64)
    data = TensorDataset(tm.tensor(x), tm.tensor(t))
    tm.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2)
    )
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    trainer = Trainer(model, optimizer, nn.CrossEntropyLoss(), metrics={"accuracy": accuracy})
    callbacks: list[Callback] = [
        LRScheduler(CosineAnnealingLR(optimizer, EPOCHS)),
        EarlyStopping(patience=50),
    ]
    train = DataLoader(data, batch_size=8, shuffle=True, seed=5)
    return trainer, train, DataLoader(data, batch_size=61), callbacks


def checksum(trainer: Trainer) -> str:
    """Over every bit of what the training has made."""
    state = trainer.state_dict()
    arrays: state_tree.Arrays = {}
    wanted = {k: state[k] for k in ("model", "optimizer", "generators", "counters")}
    text = repr(state_tree.split(wanted, arrays))
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("moment", nargs="?", default="never:0")
    parser.add_argument("--forget")
    options = parser.parse_args()
    moment, number = options.moment.split(":")
    trainer, train, val, callbacks = make()
    if options.forget == "generators":
        trainer_module.restore_generators = lambda model, states: None
    elif options.forget == "loader":
        train.load_state_dict = lambda state: None
    elif options.forget == "optimizer":
        trainer.optimizer.load_state_dict = lambda state: None
    if moment in ("writing", "sealing"):
        die_while_writing(moment, int(number))
    save = ModelCheckpoint(options.folder, keep=2, every_steps=SAVE_EVERY)
    before = Killer(moment, int(number), of=("step", "epoch"))
    after = Killer(moment, int(number), of=("saved",))
    callbacks += [before, save, after]
    trainer.fit(train, val, EPOCHS, callbacks=callbacks, resume_from=options.folder)
    print(checksum(trainer))


if __name__ == "__main__":
    main()
