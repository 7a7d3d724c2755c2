"""The same algorithms for GPUs: machine descriptions, parameters and schedules."""
