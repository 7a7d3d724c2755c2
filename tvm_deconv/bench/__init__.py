"""The benchmark: contestants in processes of their own, measured in turns and compared."""
