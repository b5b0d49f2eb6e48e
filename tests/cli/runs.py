"""A short run, what it leaves, and how a command refuses."""

from safetensors.numpy import load_file

QUICK = ("--epochs", "2", "--width", "16", "--batch-size", "128", "--plain")


def one_line(answer):
    """The message of a command that refused: one line on stderr, exit code 2, nothing else."""
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err.strip()


def weights(folder):
    return {k: v.tobytes() for k, v in load_file(folder / "model.safetensors").items()}
