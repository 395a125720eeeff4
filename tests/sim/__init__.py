"""The simulator: the real tick loop, log, checkpoints, dataflow and sinks, in a world where one seed decides everything else."""
