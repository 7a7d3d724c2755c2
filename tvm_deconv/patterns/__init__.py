"""The patterns that are rewritten: rules on a view of a function that any IR can offer.

A new pattern is a module here with a ``Rule``, and a place among ``decide.RULES``. Nothing here
imports TVM: ``tvm_deconv.transform`` applies the rules to Relax, ``tvm_deconv.relay`` to Relay.
"""
