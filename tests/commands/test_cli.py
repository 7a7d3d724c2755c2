"""The command line: what it does, and one line and status 2 for every kind of bad input."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from paths import ROOT
from PIL import Image
from tvm import relax
from upscaling import QUICK, upscaler

from tvm_deconv import cli
from tvm_deconv.commands.quiet import quiet

SIZE = (12, 8)  # width, height of the test image


def picture(mode="RGB", size=SIZE) -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A folder with good and bad models, libraries and images of every kind."""
    folder = tmp_path_factory.mktemp("bench")
    onnx.save(upscaler(), folder / "good.onnx")
    onnx.save(upscaler(3), folder / "rgb.onnx")
    onnx.save(upscaler(dims=(1, 8, 8)), folder / "fixed.onnx")
    onnx.save(upscaler(2, dims=(1, 8, 8)), folder / "two.onnx")
    onnx.save(upscaler(operator="Frobnicate"), folder / "frobnicate.onnx")
    (folder / "damaged.onnx").write_bytes(upscaler().SerializeToString()[:-60])
    (folder / "text.onnx").write_text("hello")
    picture().save(folder / "image.png")
    (folder / "text.png").write_text("hello")
    (folder / "damaged.png").write_bytes((folder / "image.png").read_bytes()[:120])
    Image.fromarray(np.zeros((8, 12), np.float32)).save(folder / "deep.tif")
    (folder / "text.so").write_text("hello")
    (folder / "empty.so").touch()
    for name in ("good", "rgb", "fixed", "two"):
        command = ["compile", str(folder / f"{name}.onnx"), "-o", str(folder / name)]
        assert cli.main([*command, *(["--variant", QUICK] if name == "good" else [])]) == 0
        (folder / name).rename(folder / f"{name}.so")
    elf = bytearray((folder / "good.so").read_bytes())
    elf[18:20] = b"\xf7\x00"  # the architecture: BPF, which no machine is
    (folder / "bpf.so").write_bytes(elf)
    mod = tvm.IRModule.from_expr(tvm.te.create_prim_func([tvm.te.placeholder((1,), name="a")]))
    tvm.compile(mod, {"kind": "llvm"}).export_library(str(folder / "foreign.so"))
    return folder


def expected(model: onnx.ModelProto, planes: np.ndarray) -> np.ndarray:
    """ONNX Runtime's result as 8-bit pixels, (channels, height, width)."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    result = session.run(None, {"x": planes.astype(np.float32) / 255})[0][0]
    return np.clip(result * 255, 0, 255).round()


def test_a_one_channel_network_upscales_the_luma_and_bicubic_the_chroma(bench, tmp_path):
    out = tmp_path / "out.png"
    library, image = str(bench / "good.so"), str(bench / "image.png")
    assert cli.main(["run", library, image, "-o", str(out)]) == 0
    ycc = picture().convert("YCbCr")
    luma = expected(upscaler(), np.asarray(ycc)[None, None, ..., 0])[0]
    planes = [Image.fromarray(luma.astype(np.uint8))]
    planes += [p.resize((24, 16), Image.Resampling.BICUBIC) for p in ycc.split()[1:]]
    wanted = np.asarray(Image.merge("YCbCr", planes).convert("RGB")).astype(int)
    with Image.open(out) as result:
        # The rounding of a luma at a half may differ by one between the two runtimes.
        assert np.abs(np.asarray(result).astype(int) - wanted).max() <= 2


def test_a_three_channel_network_gets_rgb(bench, tmp_path):
    out = tmp_path / "out.png"
    library, image = str(bench / "rgb.so"), str(bench / "image.png")
    assert cli.main(["run", library, image, "-o", str(out), "--threads", "1"]) == 0
    wanted = expected(upscaler(3), np.asarray(picture()).transpose(2, 0, 1)[None])
    with Image.open(out) as result:
        assert np.abs(np.asarray(result).transpose(2, 0, 1) - wanted).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
@pytest.mark.parametrize("library", ["good.so", "rgb.so"])
def test_images_of_every_usual_mode_are_upscaled(bench, tmp_path, mode, library):
    ending = "tif" if mode == "CMYK" else "png"
    image, out = tmp_path / f"in.{ending}", tmp_path / "out.png"
    picture(mode).save(image)
    assert cli.main(["run", str(bench / library), str(image), "-o", str(out)]) == 0
    with Image.open(out) as result:
        assert result.size == (24, 16)
        assert result.has_transparency_data == (mode in ("RGBA", "LA"))


def test_explain_prints_a_report(bench, capsys):
    assert cli.main(["explain", str(bench / "good.onnx")]) == 0
    assert "1 rewritten, 0 refused" in capsys.readouterr().out


def test_explain_prints_what_computes_each_convolution_and_why(bench, capsys):
    options = ["--target", "raspberry-pi/4b-aarch64", "--threads", "3", "--variant", "revd2"]
    assert cli.main(["explain", str(bench / "fixed.onnx"), *options]) == 0
    _, kernels = capsys.readouterr().out.split("\n\n")
    header, kernel, parameters, reason, total, weights = kernels.splitlines()
    assert header.split() == ["kernel", "variant", "computes"]
    assert kernel.split(maxsplit=2)[1:] == ["revd2", "conv2d_transpose 6x6 stride 2, 1->1, 8x8"]
    assert parameters.startswith("    lanes=4 ")
    assert (reason, total) == ("    asked for", "1 by variants of ours, 0 left to TVM")
    assert weights == "weights: 36 in the model, 36 in kernels (1.00 times, at most 8388608)"


def test_a_library_of_the_variant_that_was_asked_for_upscales(bench, tmp_path):
    library, out = tmp_path / "out.so", tmp_path / "out.png"
    options = ["--variant", "revd2", "--no-winograd"]
    assert cli.main(["compile", str(bench / "good.onnx"), "-o", str(library), *options]) == 0
    assert b"revd2_conv2d_transpose" in library.read_bytes()
    assert cli.main(["run", str(library), str(bench / "image.png"), "-o", str(out)]) == 0


def test_a_shape_can_be_fixed_for_a_network_that_leaves_it_free(bench, tmp_path):
    library = tmp_path / "out.so"
    shape = ["--shape", "x=1,1,10,10"]
    assert cli.main(["compile", str(bench / "good.onnx"), "-o", str(library), *shape]) == 0
    arguments = ["run", str(library), str(bench / "image.png"), "-o", str(tmp_path / "out.png")]
    assert cli.main(arguments) == 0
    # In four tiles of 10 x 10, of which two have too many rows.
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == (24, 16)


def test_a_compiled_library_runs_in_a_process_that_has_only_tvm(bench, forks):
    code = (
        "import sys, tvm; from tvm import relax; import numpy as np;"
        "vm = relax.VirtualMachine(tvm.runtime.load_module(sys.argv[1]), tvm.cpu());"
        "x = tvm.runtime.tensor(np.zeros((1, 1, 5, 7), 'float32'));"
        "print(vm['main'](x).numpy().shape, 'tvm_deconv' in sys.modules)"
    )
    done = forks.run(code, bench / "good.so")
    assert done.stdout == "(1, 1, 10, 14) False\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("explain none.onnx", "none.onnx does not exist"),
        ("explain text.onnx", "text.onnx is not an ONNX model: "),
        ("explain damaged.onnx", "damaged.onnx is a damaged ONNX model: "),
        ("explain frobnicate.onnx", "Frobnicate .* cannot be imported, neither here nor by TVM: "),
        ("explain .", r"cannot read .*: Is a directory"),
        ("explain good.onnx --shape y=1,1,4,4", r"has no input 'y': its inputs are \['x'\]"),
        ("explain good.onnx --shape x=4,4", r"input 'x' of .* has 4 axes, got \(4, 4\)"),
        ("explain good.onnx --target pdp-11", "unknown target 'pdp-11': "),
        ("explain good.onnx --variant fft", "unknown variant 'fft': give one of auto, .*revd2"),
        ("compile good.onnx -o out.so --variant fft", "unknown variant 'fft': give one of auto, "),
        ("compile none.onnx -o out.so", "none.onnx does not exist"),
        ("compile text.onnx -o out.so", "text.onnx is not an ONNX model: "),
        ("compile damaged.onnx -o out.so", "damaged.onnx is a damaged ONNX model: "),
        ("compile frobnicate.onnx -o out.so", "Frobnicate .* cannot be imported, neither here"),
        ("compile good.onnx -o none/out.so", r"cannot write .*none/out\.so: .*No such file"),
        ("compile good.onnx -o .", r"cannot write .*: it is a folder"),
        ("compile good.onnx -o out.so --target pdp-11", "unknown target 'pdp-11': "),
        ("compile good.onnx -o out.so --target {", "target '{' is not valid JSON: "),
        ('compile good.onnx -o out.so --target {"kind":"vulkan"}', "no schedules for vulkan"),
        ("run none.so image.png -o out.png", "none.so does not exist"),
        ("run text.so image.png -o out.png", "text.so is not a library that this machine can load"),
        (
            "run empty.so image.png -o out.png",
            "empty.so is not a library that this machine",
        ),
        ("run bpf.so image.png -o out.png", "bpf.so .* it is for another processor architecture"),
        ("run foreign.so image.png -o out.png", "foreign.so was not written by tvm-deconv compile"),
        ("run two.so image.png -o out.png", r"two.so does not map one image to one image .* x \("),
        ("run good.so none.png -o out.png", "none.png does not exist"),
        ("run good.so text.png -o out.png", "text.png is not an image that can be read: "),
        ("run good.so damaged.png -o out.png", "cannot read image .*damaged.png: "),
        ("run good.so deep.tif -o out.png", "deep.tif has pixels of mode F: "),
        ("run good.so . -o out.png", "cannot read image .*: .*Is a directory"),
        ("run good.so image.png -o out.png --tile 4 --range 0..1", "tiles of 4 pixels are too sm"),
        ("run good.so image.png -o out.png --mean 1,2,3", "mean has 3 numbers, 1,2,3, but the net"),
        ("run good.so image.png -o none/out.png", r"cannot write .*: .*No such file"),
        ("run good.so image.png -o out.doc", "no image format for '.doc'"),
        ("run good.so image.png -o out.ico", "no image format for '.ico'"),
        ("check none.onnx", "none.onnx does not exist"),
        ("check good.onnx --seed -1", "seed is -1: give an integer of at least 0"),
        (
            "check good.onnx --target raspberry-pi/4b-aarch64",
            "raspberry-pi/4b-aarch64 is not this machine: leave the target out",
        ),
        ("bench --workloads vgg", "no workload is called 'vgg': "),
        ("bench --workloads none.onnx", "none.onnx does not exist"),
        ("bench --workloads good.onnx", "input 'x' of good.onnx must be a tensor of a fixed"),
        ("bench --peers tflite", "no peer is called 'tflite': use some of onnxruntime, "),
        ("bench --variants fft", "no variant is called 'fft': "),
        ("bench --out none/out.json", r"cannot write .*none/out\.json: .*No such file"),
        ("bench --plot out.doc", "no plot format 'doc': give one of "),
        ("bench --from none.json", "cannot read none.json: No such file"),
        ("bench --from text.onnx", "text.onnx is not JSON: "),
    ],
)
def test_bad_input_is_one_line_and_status_2(bench, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(bench)
    before = sorted(bench.iterdir())
    capfd.readouterr()
    assert cli.main(arguments.split(" ")) == 2
    output = capfd.readouterr()
    assert re.fullmatch(rf"tvm-deconv: .*{message}.*\n", output.err), output.err
    assert output.out == ""
    assert sorted(bench.iterdir()) == before, "nothing is left behind"


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "explode good.onnx",
        "compile good.onnx",
        "compile good.onnx -o out.so --threads 0",
        "compile good.onnx -o out.so --threads two",
        "compile good.onnx -o out.so --shape 1,2",
        "compile good.onnx -o out.so --shape x=1,,2",
        "run good.so image.png",
        "run good.so -o out.png",
        "run good.so image.png -o out.png --tile 0",
        "run good.so image.png -o out.png --overlap -1",
        "run good.so image.png -o out.png --range 0..2",
        "run good.so image.png -o out.png --mean red",
        "bench --threads 0",
        "bench --workloads",
    ],
)
def test_bad_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments.split())
    assert caught.value.code == 2
    assert "usage: tvm-deconv" in capsys.readouterr().err


def test_the_installed_command_reports_bad_input_without_a_traceback(tmp_path):
    command = Path(sys.executable).with_name("tvm-deconv")
    done = subprocess.run([command, "explain", "none.onnx"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "tvm-deconv: none.onnx does not exist\n")


def test_a_failed_compilation_leaves_an_existing_library_alone(bench, tmp_path):
    library = tmp_path / "out.so"
    library.write_text("precious")
    assert cli.main(["compile", str(bench / "frobnicate.onnx"), "-o", str(library)]) == 2
    assert library.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [library]


def test_a_library_and_an_image_get_the_permissions_of_any_new_file(bench, tmp_path):
    image = tmp_path / "out.png"
    library, photo = str(bench / "good.so"), str(bench / "image.png")
    assert cli.main(["run", library, photo, "-o", str(image)]) == 0
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(image.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize(
    ("target", "package"),
    [
        ("raspberry-pi/4b-aarch64", "gcc-aarch64-linux-gnu"),
        ('{"kind":"llvm","mtriple":"armv7l-linux-gnueabihf"}', "gcc-arm-linux-gnueabihf"),
        ("arm/rasp4b", "gcc-arm-linux-gnueabihf"),
        ("arm/pynq", "gcc-arm-linux-gnueabi"),
        ('{"kind":"llvm","mtriple":"riscv64-linux-gnu"}', "gcc-riscv64-linux-gnu"),
    ],
)
def test_a_missing_cross_linker_is_named_with_its_package(
    bench, tmp_path, monkeypatch, capsys, target, package
):
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["compile", str(bench / "good.onnx"), "-o", str(tmp_path / "out.so")]
    assert cli.main([*arguments, "--target", target]) == 2
    assert f"(apt install {package})" in capsys.readouterr().err


def test_a_missing_host_linker_is_named(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    out = str(tmp_path / "out.so")
    assert cli.main(["compile", str(bench / "good.onnx"), "-o", out]) == 2
    assert "apt install gcc" in capsys.readouterr().err


def test_a_failing_linker_is_reported(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CXX", shutil.which("false"))
    out = str(tmp_path / "out.so")
    assert cli.main(["compile", str(bench / "fixed.onnx"), "-o", out]) == 2
    assert re.fullmatch(r"tvm-deconv: linking with .*false failed.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    "command",
    [
        "explain",
        "compile",
        "run",
        "quantize",
        "tune",
        "logs list",
        "logs verify",
        "logs merge",
        "bench",
        "model",
        "calibrate",
    ],
)
def test_each_command_has_complete_help_and_is_documented(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([*command.split(), "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    documented = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert f"tvm-deconv {command} " in documented
    for option in re.findall(r"--[a-z-]+", text.split("options:")[0]):
        assert option in documented or option == "--output", f"{option} stands in a page"
    for name, after in pairwise(text.split("\n\n", 2)[2].splitlines()):
        if re.fullmatch(r"  \S+( \S+)*", name):
            assert re.match(r" {10,}\w", after), f"{name} has no explanation"


def test_help_of_the_command_lists_all_commands(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    for command in ("explain", "compile", "run", "quantize", "tune", "logs", "bench"):
        assert re.search(rf"^    {command} +\w", text, re.MULTILINE)


def test_a_library_says_its_inputs_and_outputs(bench):
    from tvm_deconv.pictures.network import Network

    described = Network.open(bench / "good.so").description
    assert [str(tensor) for tensor in described.inputs] == ["x (n, 1, h, w) float32"]
    assert [tensor.dtype for tensor in described.outputs] == ["float32"]
    assert isinstance(Network.open(bench / "good.so").machine, relax.VirtualMachine)


def test_stderr_passes_on_everything_but_the_noise_of_tvm(capfd):
    with quiet():
        os.write(2, b"one\n[12:00:00] x.cc:67: Warning: BlockBuilder destroyed with remaining")
        os.write(2, b" blocks!\n")
        subprocess.run(["sh", "-c", "echo two >&2"], check=True)
        os.write(2, b"[12:00:00] op.cc:275: Warning: Detected pow(x, y) where y >= 3, it is\n")
        os.write(2, b"three\n")
    os.write(2, b"four\n")
    assert capfd.readouterr().err.split() == ["one", "two", "three", "four"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_a_full_disk_does_not_take_is_one_line(unbuffered):
    model = ROOT / "scripts" / "models" / "espcn_x3.onnx"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tvm_deconv", "explain", model],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "tvm-deconv: cannot write the output: No space left on device\n"
