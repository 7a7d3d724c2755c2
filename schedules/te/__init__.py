"""The variants as schedules of tensor expressions (TE), for TVM up to 0.19, which Relay calls.

What they compute, their packing, parameters and cost are those of ``schedules.cpu.definitions``;
only the loop nests are written again, in the schedule language that this TVM has. CPUs of kind
llvm, float32, sizes that are known.
"""
