"""What `make train` promises: mean test accuracy over seeds 0 to 4, with the 60/20/20 split."""

import numpy as np
import pytest

from tinygrad_mmb.training.config import TrainConfig, defaults_for
from tinygrad_mmb.training.experiment import Experiment


@pytest.mark.slow
@pytest.mark.parametrize(("model", "goal"), [("mlp", 0.97), ("cnn", 0.985)])
def test_the_digits_are_learnt(model, goal):
    found = []
    for seed in range(5):
        experiment = Experiment.prepare(
            TrainConfig(model=model, seed=seed, **defaults_for("digits", model))
        )
        config, problem = experiment.config, experiment.problem
        experiment.trainer.fit(
            experiment.loader(problem.train, training=True),
            experiment.loader(problem.validation),
            config.epochs,
            callbacks=[experiment.schedule, experiment.early_stopping],
        )
        found.append(experiment.test().accuracy)
    assert np.mean(found) >= goal, found
