"""CUDA: from source to machine code, and machine code into a library."""
