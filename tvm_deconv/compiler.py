"""From a model to what ``relax.build`` returns: the order of the passes, and the single calls."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import tvm
from tvm import relax
from tvm.relax.backend.cpu_generic import pipeline as stock
from tvm.relax.vm_build import VMExecutable
from tvm.target import Target

from tvm_deconv import metadata
from tvm_deconv.backends import LibraryDevice, backend_of
from tvm_deconv.backends.lowering import lean_lowering
from tvm_deconv.backends.passes import passes_after_fusion
from tvm_deconv.built import Built, built
from tvm_deconv.errors import ModelError, PixelsError, TvmDeconvError
from tvm_deconv.importer import Model, Shapes, load, load_with_pixels
from tvm_deconv.interrupts import let_pass_through_tvm
from tvm_deconv.layer_names import NameLayers
from tvm_deconv.logs.apply import apply_ops
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec
from tvm_deconv.metadata import Metadata
from tvm_deconv.options import Options
from tvm_deconv.pictures.layout import Layout, find_layout
from tvm_deconv.pixels import Pixels, given_pixels
from tvm_deconv.report import Report
from tvm_deconv.schedules.budget import Growth
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.cpu.processors import check_threads
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.targets import TargetSpec, resolve_target
from tvm_deconv.transform import (
    AddHeight,
    CheckSizes,
    DecomposePixelShuffle,
    DropOuterTaps,
    FoldConstants,
    FoldExactly,
    FoldScales,
    KeepBytes,
    KeepNaN,
    LowerBytePools,
    LowerByteResizes,
    LowerConvolutions,
    LowerIntegers,
    LowerLookups,
    LowerShuffles,
    MergeEqual,
    PhasesToChannels,
    RewriteUpsampling,
    SeparateCopies,
    rewrite_upsampling,
)
from tvm_deconv.transform.legalize import legalize_passes
from tvm_deconv.transform.lower.explained import explain_kernels
from tvm_deconv.transform.normalisations import MergeNormalisations
from tvm_deconv.transform.receptive_field import receptive_field
from tvm_deconv.transform.transposed_products import ReadTransposed

let_pass_through_tvm()


def pipeline(
    target: TargetSpec = "host",
    *,
    rewrite: bool = True,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
    max_weight_growth: Growth = AUTO,
    accumulate: str = ACCUMULATE_DTYPE,
) -> tvm.transform.Pass:
    """All passes from a Relax module to one that the VM code generator takes.

    Used as ``relax.build(mod, target, relax_pipeline=tvm_deconv.pipeline(target))``. The rewrite
    comes first, while convolutions, shuffles and resizes are still operators; our lowering comes
    before TVM's, which then only meets what is left; the schedules come after fusion, because
    they schedule fused functions. With ``rewrite=False`` everything but the rewrite happens:
    the baseline to measure it against. ``variant``, ``winograd``, ``log``, ``max_weight_growth``
    and ``accumulate`` choose the algorithm of each convolution, as ``compile`` says.

    A linear or cubic resize of free size needs the option ``"tirx.disable_cse_tir": True`` in the
    pass context around ``relax.build``; ``compile`` sets it. On a GPU the convolutions get our
    schedules for GPUs and the rest TVM's (DLight); ``relax.build`` then needs the target that
    ``resolve_target`` gives, with its host. For CUDA, TVM's compiler callback becomes ours.

    Raises TargetError for a target that is unknown or has no schedules, VariantError for a variant
    that is unknown or excluded, OptionError for a ``rewrite`` or ``winograd`` that is no bool, and
    LogError for a log that is damaged or not of the target. The passes raise TargetError for a
    kernel that exceeds the GPU's limits.
    """
    options = Options(rewrite, variant, winograd, log, max_weight_growth, accumulate)
    return pipeline_of(resolve_target(target), options)


def pipeline_of(target: Target, options: Options) -> tvm.transform.Pass:
    """What ``pipeline`` does, for the target that is meant."""
    options, _ = options.with_log_of(target)
    backend_of(target).register_compiler()
    passes = [
        *before_schedules(target, options),
        *apply_ops(options.log, target),
        *passes_after_fusion(target),
    ]

    @tvm.transform.module_pass(opt_level=0, name="tvm_deconv.pipeline")
    def run_all(mod: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        with target:
            return tvm.transform.Sequential(passes)(mod)

    return run_all


def before_schedules(target: Target, options: Options) -> list[tvm.transform.Pass]:
    """The passes of ``pipeline`` up to fusion: what is not scheduled then, no template covers."""
    chooser = options.chooser(target)
    return [
        CheckSizes(),
        AddHeight(),
        *([RewriteUpsampling(chooser)] if options.rewrite else []),
        *before_lowering(),
        MergeNormalisations(target),
        LowerIntegers(chooser),
        LowerLookups(target),
        LowerBytePools(),
        LowerByteResizes(target),
        LowerConvolutions(chooser),
        ReadTransposed(target),
        SeparateCopies(),
        *stock.library_dispatch_passes(target),
        *legalize_passes(target),
    ]


def before_lowering() -> list[tvm.transform.Pass]:
    """The passes between the rewrite and the lowering of convolutions."""
    return [
        KeepNaN(),
        KeepBytes(),
        DecomposePixelShuffle(),
        PhasesToChannels(),
        LowerShuffles(),
        relax.transform.DecomposeOpsForInference(),
        # Before aliases go: only one of their two names would be left.
        NameLayers(),
        relax.transform.CanonicalizeBindings(),
        MergeEqual(),
        # Again, for comparisons of what is one tensor only now.
        KeepNaN(),
        FoldExactly(),
        FoldConstants(),
        FoldScales(),
        DropOuterTaps(),
        # Again, for weights that are constant only now: those of a weight norm.
        AddHeight(),
    ]


def compile(
    model: Model,
    target: TargetSpec = "host",
    *,
    shapes: Shapes | None = None,
    rewrite: bool = True,
    threads: int | None = None,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
    max_weight_growth: Growth = AUTO,
    accumulate: str = ACCUMULATE_DTYPE,
    pixels: Pixels | None = None,
) -> VMExecutable:
    """What ``relax.build`` returns for the model, rewritten and scheduled for ``target``.

    ``model`` and ``shapes`` are those of ``tvm_deconv.importer.load``. ``target`` is ``"host"``, a
    tag such as ``"raspberry-pi/4b-aarch64"``, ``"nvidia/jetson-orin-nano"`` or ``"arm/mali-g52"``,
    a JSON target or a ``tvm.target.Target``. ``threads`` is how many threads of a CPU the
    schedules count on, by default the target's ``num-cores``.
    ``variant`` is ``"auto"`` or the name of the algorithm that computes every convolution that it
    can; ``winograd=False`` excludes that one; ``log`` holds measured choices: see
    ``tvm_deconv.schedules.choice``. By default the log is found by the target, as
    ``tvm_deconv.logs.find`` says; a path names a folder to look in, None means none.
    ``max_weight_growth`` is how many times the weights of the model's convolutions those of their
    kernels may be, all together (``tvm_deconv.schedules.budget``); None is no limit, by default it
    is 4.1, and small networks have none. ``accumulate="float16"`` lets kernels add up in float16
    where that is twice as fast (ARMv8.2 with ``fullfp16``, Mali, Adreno): results are then off by
    a hundredth of the largest one (docs/kernels.md). The entry is ``main``, its inputs in
    the model's order.
    The executable also carries a description of itself, so that ``tvm_deconv.run`` can tell which
    images fit and what numbers it is to make of their pixels; ``pixels`` says that, before the
    model's own metadata.

    Raises OptionError for a ``rewrite`` or ``winograd`` that is no bool and an unknown
    ``accumulate``, PixelsError for ``pixels`` that cannot be those of the network, TargetError for
    an unknown target, one without that and kernels that exceed a GPU's limits, VariantError for a
    variant that is unknown or excluded and a growth that is no number of at least 1,
    LogError for a log that is damaged or not of the target, and ModelError for a model that cannot
    be imported or compiled; the latter has TVM's own exception as its cause.
    """
    resolved = for_threads(target, threads)
    options = Options(rewrite, variant, winograd, log, max_weight_growth, accumulate)
    return build(model, shapes, resolved, pipeline_of(resolved, options), pixels).executable


def build(
    model: Model,
    shapes: Shapes | None,
    target: Target,
    passes: tvm.transform.Pass,
    pixels: Pixels | None = None,
) -> Built:
    """What ``compile`` does once its arguments are known to be good: ``passes`` are a pipeline."""
    mod, stated = load_with_pixels(model, shapes)
    description = describe(mod, given_pixels(pixels), stated, metadata.library_device(target))
    with one_error(), lean_lowering(target), target:
        return built(passes(metadata.attach(mod, description)), description, target)


def describe(mod: tvm.IRModule, pixels: Pixels, stated: Pixels, device: LibraryDevice) -> Metadata:
    """What a network says of itself that was read as ``mod``, for a library or whatever runs it.

    ``stated`` is what its model says of pixels, ``pixels`` what its user does. Raises PixelsError
    for the latter where the network cannot have them.
    """
    inputs, outputs = metadata.ports(mod)
    layout = find_layout(inputs, outputs)
    _check_pixels(pixels, layout)
    field = None if isinstance(layout, str) else receptive_field(mod, *layout.sides)
    return Metadata(inputs, outputs, device, pixels, stated, None, field)


def _check_pixels(pixels: Pixels, layout: Layout | str) -> None:
    """Raise PixelsError for pixels that the network of this layout, or of none, cannot have."""
    if not isinstance(layout, str):
        pixels.check_channels(layout.channels)
    elif pixels != Pixels():
        raise PixelsError(f"pixels are said of a network that {layout}: leave them away")


def for_threads(target: TargetSpec, threads: int | None) -> Target:
    """``target`` with as many cores; with its own where ``threads`` is None.

    Raises TargetError for threads that are no positive integer, and for a GPU with threads: its
    schedules count on none of a CPU.
    """
    resolved = resolve_target(target)
    if threads is None:
        return resolved
    return backend_of(resolved).with_threads(resolved, check_threads(threads))


@contextmanager
def one_error() -> Iterator[None]:
    """Turn whatever TVM's passes raise into a ModelError."""
    try:
        yield
    except TvmDeconvError:
        raise
    except Exception as error:  # TVM's legalizations raise whatever they stumble over
        # The operator's name, if there is one, comes late in TVM's message.
        reason = textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__
        raise ModelError(f"TVM cannot compile this model: {reason}") from error


def explain(
    model: Model,
    *,
    shapes: Shapes | None = None,
    target: TargetSpec = "host",
    threads: int | None = None,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
    max_weight_growth: Growth = AUTO,
    accumulate: str = ACCUMULATE_DTYPE,
) -> Report:
    """What becomes of the model: a value that prints well.

    It says which upsampling layers are rewritten, which are not, and why; and of each convolution
    that there is then which variant computes it, with which parameters, and why; how many weights
    kernels have of how many; and which tuning log there is. The arguments and what is raised are
    those of ``compile``.
    """
    resolved = for_threads(target, threads)
    options, words = Options(
        variant=variant,
        winograd=winograd,
        log=log,
        max_weight_growth=max_weight_growth,
        accumulate=accumulate,
    ).with_log_of(resolved)
    chooser = options.chooser(resolved)
    raised = tvm.transform.Sequential([AddHeight()])(load(model, shapes))
    mod, report = rewrite_upsampling(raised, chooser)
    with one_error(), resolved:
        mod = tvm.transform.Sequential(before_lowering())(mod)
        kernels, weights = explain_kernels(mod, chooser)
    return replace(report, kernels=kernels, weights=weights, log=words)
