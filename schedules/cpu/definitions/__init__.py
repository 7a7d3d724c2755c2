"""What each algorithm computes on a CPU, its parameters and their cost, in words of either TVM."""
