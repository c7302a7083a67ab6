"""The results of trainings, folds and sweeps: plain data that all of `tuning` may use."""
