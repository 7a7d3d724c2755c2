"""What is asked of a kind of device. A new one is a module with a subclass, and a line in
``registry``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, TypeAlias

import tvm
from tvm import tirx
from tvm.target import Target

from tvm_deconv.measure.probe import Probe
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.rest.product.pack import Packings

from .facts import DeviceFacts
from .identity import Identity

# What ``export_library`` takes as ``fpack_imports``: it gets the module, whether that is a system
# library, the prefix of its symbols and a folder, and returns the path of an object file in it.
Packer: TypeAlias = Callable[[tvm.runtime.Module, bool, str, str], str]


@dataclass(frozen=True)
class LibraryDevice:
    """What the kernels of a library run on: ``kind`` is ``"cpu"``, ``"cuda"`` or ``"opencl"``.

    ``name`` is the architecture of CUDA (``sm_87``), else empty: OpenCL compiles on the device.
    """

    kind: str = "cpu"
    name: str = ""


class Backend(ABC):
    """One kind of device.

    ``kind`` is TVM's kind of its targets and ``device_kind`` what TVM's runtime calls the devices,
    ``name`` is for people. ``stock`` is TVM's own pipeline. ``rules`` are those that MetaSchedule
    has for its functions, None for none.
    """

    kind: ClassVar[str]
    device_kind: ClassVar[str]
    name: ClassVar[str]
    stock: ClassVar[ModuleType]
    rules: ClassVar[str | None] = None

    # Targets.

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raise TargetError for what must not become a target: TVM would print, or guess."""
        return None

    @abstractmethod
    def complete(self, target: Target) -> Target:
        """The target with what it leaves out; itself where that is nothing.

        Raises TargetError for what there is not: a processor, an architecture, a device.
        """

    @abstractmethod
    def processor(self, target: Target) -> Target:
        """The CPU that runs a library for the target."""

    @abstractmethod
    def with_threads(self, target: Target, threads: int) -> Target:
        """The target with so many threads of a processor for each kernel.

        Raises TargetError where kernels have none of a processor's.
        """

    # Schedules.

    @abstractmethod
    def machine(self, target: Target) -> Machine:
        """The machine that schedules are made for. Raises TargetError for one that is unknown."""

    @abstractmethod
    def default_schedule(self, func: tirx.PrimFunc, target: Target, name: str) -> tirx.PrimFunc:
        """A function that no template covers, scheduled, and marked so; ``name`` is for messages.

        Raises ModelError where there is no way to run it.
        """

    def schedule_with_constants(
        self, func: tirx.PrimFunc, target: Target, name: str, constants: Collection[int]
    ) -> tuple[tirx.PrimFunc, Packings]:
        """As ``default_schedule``, where the parameters at positions ``constants`` are constant.

        With what those have to be packed by that the scheduled function takes in another order.
        """
        return self.default_schedule(func, target, name), {}

    def refusal(self, func: tirx.PrimFunc, target: Target) -> str | None:
        """What a scheduled function takes that the device does not have, in words; None: nothing.

        To be asked before it is compiled: the driver finds out on the device, when a kernel starts.
        """
        return None

    # Code.

    def register_compiler(self) -> None:
        """Make TVM generate code by our compiler, where there is one."""
        return None

    def check_compiler(self, target: Target) -> None:
        """Raise TargetError where nothing here makes the device code of a library."""
        return None

    def packer(self) -> Packer | None:
        """What packs device code into a library; None for TVM itself."""
        return None

    def library_device(self, target: Target) -> LibraryDevice:
        """What a library for the target is for."""
        return LibraryDevice(self.device_kind, str(target.attrs.get("arch", "")))

    # Devices.

    @abstractmethod
    def device(self, wanted: LibraryDevice, library: str) -> tvm.runtime.Device:
        """The device here that runs a library. Raises ModelError, naming it, if there is none."""

    @abstractmethod
    def identity(self, target: Target) -> Identity:
        """As much of a target as decides whether a kernel tuned for one is tuned for another."""

    @abstractmethod
    def refusal_here(self, target: Target, named: object) -> str | None:
        """Why this machine cannot measure for a target, and what to do; None if it can.

        ``named`` is what the user calls the target.
        """

    @abstractmethod
    def check_device(
        self, target: Target, ask: Callable[[str], DeviceFacts], place: str
    ) -> str | None:
        """Ask a device for what the target promises; its name, None for a processor.

        ``ask`` takes the kind of device, ``place`` says in words where it is. Raises DeviceError
        where there is none, TargetError for one that is not like the target.
        """

    @abstractmethod
    def peak(self, target: Target, blocks: int | None = None) -> Probe:
        """A kernel that only multiplies and adds in registers, on all threads.

        ``blocks`` are a GPU's, by default as many as fill it: the kernel takes any number.
        """
