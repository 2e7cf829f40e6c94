"""What all trainings share: options, checkpoints, run folders and plots."""
