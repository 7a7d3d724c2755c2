"""A compiled model whose description can still be changed, without compiling its kernels again.

What range of pixels a network wants is asked of its library, when all is compiled, and the answer
belongs into that library. The description is a function of the virtual machine, whose code takes
milliseconds to make; the kernels, which take most of the time, become an object file once and are
linked as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import tvm
from tvm import relax, tirx
from tvm.relax.vm_build import VMExecutable
from tvm.runtime import load_static_library
from tvm.target import Target

from tvm_deconv import metadata
from tvm_deconv.metadata import Metadata


@dataclass(frozen=True)
class Built:
    """What a model for ``target`` became.

    ``lowered`` is the module that all passes give: functions of the virtual machine, and the
    kernels that they call. ``executable`` is made of it, and returns ``description``; the kernels
    are in the ``libraries`` (none where nothing is computed).
    """

    executable: VMExecutable
    lowered: tvm.IRModule
    description: Metadata
    target: Target
    libraries: tuple[tvm.runtime.Module, ...]

    def with_object(self, path: Path) -> Built:
        """The same for a CPU, with its kernels' machine code, which is written to ``path``.

        The file has to be there until the executable is linked.
        """
        names = [str(kernel.attrs["global_symbol"]) for kernel in self._kernels().values()]
        objects = []
        for library in self.libraries:
            if library.kind != "llvm":  # TVM's empty one where nothing is computed
                continue
            library.write_to_file(str(path))
            objects.append(load_static_library(str(path), names))
        return replace(self, libraries=tuple(objects))._linked()

    def described_by(self, description: Metadata) -> Built:
        """The same with another description."""
        lowered = metadata.attach(self.lowered, description)
        return replace(self, lowered=lowered, description=description)._linked()

    def _linked(self) -> Built:
        """The same with an executable of its own parts."""
        functions = dict(self.lowered.functions.items())
        for var, kernel in self._kernels().items():
            functions[var] = relax.ExternFunc(str(kernel.attrs["global_symbol"]))
        callers = tvm.IRModule(functions).with_attr("external_mods", list(self.libraries))
        executable = relax.build(callers, self.target, relax_pipeline=None)
        return replace(self, executable=executable)

    def _kernels(self) -> dict[tvm.ir.GlobalVar, tirx.PrimFunc]:
        functions = self.lowered.functions.items()
        return {var: func for var, func in functions if isinstance(func, tirx.PrimFunc)}
