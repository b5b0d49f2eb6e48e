"""Settings are checked when they are made, and every one has an option."""

import dataclasses

import pytest

from tinygrad_mmb.cli.train import train
from tinygrad_mmb.training.config import (
    CHOICES,
    ConfigError,
    TrainConfig,
    config_from,
    defaults_for,
)


def test_a_config_comes_back_from_its_dictionary():
    config = TrainConfig(model="cnn", lr=0.5, seed=7)
    assert config_from(config.as_dict()) == config


def test_every_setting_has_an_option_or_an_argument():
    names = {parameter.name for parameter in train.params}
    assert {field.name for field in dataclasses.fields(TrainConfig)} <= names


def test_a_whole_number_is_accepted_for_a_float():
    assert config_from({"lr": 1}).lr == 1


def test_defaults_are_settings_that_are_allowed():
    for model in CHOICES["model"]:
        for data in ("digits", "mnist"):
            path = "" if data == "digits" else "folder"
            TrainConfig(data=data, path=path, model=model, **defaults_for(data, model))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("name", ["lr", "weight_decay", "clip_grad_norm", "min_delta", "dropout"])
def test_no_number_that_is_negative_or_not_finite_gets_in(name, value):
    with pytest.raises(ConfigError, match=name):
        TrainConfig(**{name: value})
