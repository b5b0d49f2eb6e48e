"""A run that ends early, by its numbers, by Ctrl-C or by a full disk, says so in one line."""

from tests.cli.runs import QUICK


def test_a_run_that_diverges_says_so_and_what_to_do(mmb):
    code, _, err = mmb(
        "train", "digits", *QUICK, "--optimizer", "sgd", "--lr", "1e30", "--out", "a"
    )
    assert code == 1
    assert err.count("\n") == 1
    assert "Lower the learning rate (it is 1e+30)" in err


def test_ctrl_c_says_how_to_go_on(mmb, monkeypatch):
    from tinygrad_mmb.training import Trainer

    def interrupt(self, x, t):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "training_step", interrupt)
    code, _, err = mmb("train", "digits", *QUICK, "--out", "a")
    assert code == 130
    assert err == 'stopped. Go on with: mmb train --resume "a"\n'


def test_a_full_disk_is_one_line(mmb, monkeypatch):
    from tinygrad_mmb import atomic

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(atomic, "write_bytes", full)
    code, _, err = mmb("train", "digits", *QUICK, "--out", "a")
    assert code == 1
    assert err.endswith("No space left on device\n")
