"""python -m tinygrad_mmb is the command mmb."""

from tinygrad_mmb.cli import main

if __name__ == "__main__":  # a worker process that imports this file starts no second run
    main()
