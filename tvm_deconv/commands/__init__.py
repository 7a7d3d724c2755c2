"""The subcommands of ``tvm-deconv``, a module each: its options, and a call of the library."""
