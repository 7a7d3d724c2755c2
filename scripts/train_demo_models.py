"""Train the two demo networks and export them to scripts/models/, with the PSNR they reach.

    python scripts/train_demo_models.py            # about ten minutes on two cores
    python scripts/train_demo_models.py --steps 2 --out build/models    # to see that it runs

Both are small ESPCNs for a factor of 3 on the luma plane; they differ in how they enlarge. One ends
in a convolution and a pixel shuffle, its twin in a nearest resize and a convolution. The seed is
fixed; on another machine the last digits of the weights may differ all the same.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from photographs import FACTOR, HELD_OUT, TRAINING, enlarged, luma, photograph, psnr, reduced
from torch import nn

MODELS = Path(__file__).parent / "models"
SEED = 20260801
PATCH = 32  # low-resolution pixels
BATCH = 16


def espcn() -> nn.Sequential:
    """Convolutions at low resolution, the last to FACTOR² planes, then the shuffle."""
    return nn.Sequential(
        *_features(),
        nn.Conv2d(32, FACTOR**2, 3, padding=1),
        nn.PixelShuffle(FACTOR),
    )


def resize_twin() -> nn.Sequential:
    """The same features, enlarged by repetition; the last convolution runs at high resolution."""
    return nn.Sequential(
        *_features(),
        nn.Upsample(scale_factor=FACTOR, mode="nearest"),
        nn.Conv2d(32, 1, 3, padding=1),
    )


def _features() -> list[nn.Module]:
    return [
        nn.Conv2d(1, 64, 5, padding=2),
        nn.PReLU(64),
        nn.Conv2d(64, 32, 3, padding=1),
        nn.ReLU(),
    ]


NETWORKS = {"espcn_x3": espcn, "resize_x3": resize_twin}


class Patches:
    """Random pairs of patches, (low resolution, original), each turned and mirrored at random."""

    def __init__(self, names: tuple[str, ...], seed: int) -> None:
        originals = [photograph(name) for name in names]
        self._pairs = [(luma(reduced(image)), luma(image)) for image in originals]
        self._random = np.random.default_rng(seed)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Tensors (BATCH, 1, PATCH, PATCH) and (BATCH, 1, PATCH * FACTOR, PATCH * FACTOR)."""
        pairs = [self._patch() for _ in range(BATCH)]
        low, high = (torch.from_numpy(np.stack(side)[:, None]) for side in zip(*pairs, strict=True))
        return low, high

    def _patch(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = self._pairs[self._random.integers(len(self._pairs))]
        top = self._random.integers(low.shape[0] - PATCH + 1)
        left = self._random.integers(low.shape[1] - PATCH + 1)
        turns, mirror = self._random.integers(4), self._random.integers(2)
        cuts = []
        for plane, scale in ((low, 1), (high, FACTOR)):
            rows = slice(top * scale, (top + PATCH) * scale)
            columns = slice(left * scale, (left + PATCH) * scale)
            patch = np.rot90(plane[rows, columns], int(turns))
            cuts.append(patch[:, ::-1] if mirror else patch)
        return cuts[0], cuts[1]


def train(name: str, steps: int) -> nn.Sequential:
    torch.manual_seed(SEED)
    network = NETWORKS[name]()
    patches = Patches(TRAINING, SEED)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    for step in range(1, steps + 1):
        low, high = patches.batch()
        loss = nn.functional.mse_loss(network(low), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 250 == 0 or step == steps:
            print(f"{name}: step {step}/{steps}, {evaluate(network):.2f} dB", file=sys.stderr)
    return network.eval()


def evaluate(network: nn.Module) -> float:
    """PSNR on the held-out photograph, in dB."""
    original = photograph(HELD_OUT)
    with torch.no_grad():
        result = network(torch.from_numpy(luma(reduced(original)))[None, None])
    return psnr(result[0, 0].numpy(), luma(original))


def export(network: nn.Module, path: Path) -> None:
    """Write ONNX with free batch, height and width, and without the exporter's notes."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / path.name
        torch.onnx.export(
            network,
            (torch.rand(2, 1, 20, 24),),
            raw,
            dynamo=True,
            verbose=False,
            external_data=False,
            opset_version=18,
            input_names=["luma"],
            output_names=["upscaled"],
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
        )
        model = onnx.load(raw)
    # The notes hold the paths of the machine that exported, and half as many bytes as the weights.
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000, help="training steps per network")
    parser.add_argument("--threads", type=int, default=2, help="threads that PyTorch may use")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder of the exported files")
    options = parser.parse_args()
    for name in ("steps", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}: give a positive number")
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    options.out.mkdir(parents=True, exist_ok=True)

    original = photograph(HELD_OUT)
    reached = {}
    for name in NETWORKS:
        network = train(name, options.steps)
        export(network, options.out / f"{name}.onnx")
        reached[name] = round(evaluate(network), 2)
    record = {
        "held_out": HELD_OUT,
        "factor": FACTOR,
        "psnr_db": reached,
        "bicubic_psnr_db": round(psnr(luma(enlarged(reduced(original))), luma(original)), 2),
        "measured_on": "luma, all pixels",
        "trained_on": list(TRAINING),
        "seed": SEED,
        "steps": options.steps,
        "threads": options.threads,
        "date": datetime.date.today().isoformat(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "numpy": np.__version__,
        },
    }
    (options.out / "psnr.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
