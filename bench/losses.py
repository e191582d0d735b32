#!/usr/bin/env python3
"""200 training steps of the U-Net and of ResNet18, ours and PyTorch's, from the same weights on the same batches.

    python3 bench/losses.py build/bench/bench_losses --out losses.json      (needs torch, numpy and safetensors)

Small differences of rounding grow along a trajectory, so no tolerance can be derived step by step. The band is measured:
PyTorch trains in float64, and in float32 in several ways (oneDNN, plain, channels-last) and from weights moved by half a
unit in the last place. Ours is right when it stays as near to the float64 run as those float32 runs do.
Pictures: a bright or dark ellipse on a band-limited ground; the mask is the ellipse, the label whether it is bright.
"""
import argparse
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/golden"))
from make_fixtures import ResNet18, UNet, bce_dice  # noqa: E402


def batches(task, steps, n, size, rng):
    yy, xx = np.mgrid[0:size, 0:size] / size
    x, y = np.zeros((steps, n, size, size), np.uint8), []
    for s in range(steps):
        for i in range(n):
            low = torch.tensor(rng.random((1, 1, size // 8, size // 8)))
            ground = F.interpolate(low, size=(size, size), mode="bilinear").numpy()[0, 0]
            cx, cy, a, b = *rng.uniform(0.3, 0.7, 2), *rng.uniform(0.1, 0.25, 2)
            inside = ((xx - cx) / a) ** 2 + ((yy - cy) / b) ** 2 < 1
            bright = rng.random() < 0.5
            picture = 0.5 * ground + 0.25 + np.where(inside, 0.12 if bright else -0.12, 0) + rng.normal(0, 0.05, ground.shape)
            x[s, i] = np.clip(255 * picture, 0, 255)
            y.append(inside if task == "unet" else bright)
    shape = (steps, n, size, size) if task == "unet" else (steps, n)
    return x, np.array(y, np.int64).reshape(shape)


def trained(net, x, y, dtype, layout=torch.contiguous_format, mkldnn=True):
    net = copy.deepcopy(net).to(dtype).to(memory_format=layout).train()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    losses = []
    with torch.backends.mkldnn.flags(enabled=mkldnn):
        for images, target in zip(x, y):
            logits = net((torch.tensor(images)[:, None].to(dtype) / 256 - 0.5).contiguous(memory_format=layout))
            t = torch.tensor(target)
            loss = bce_dice(logits, t[:, None].to(dtype)) if logits.dim() == 4 else F.cross_entropy(logits, t)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
    return np.array(losses)


def nudged(net, gen):
    net = copy.deepcopy(net)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + 2.0**-24 * torch.sign(torch.randn(p.shape, generator=gen)))
    return net


def main():
    a = argparse.ArgumentParser()
    a.add_argument("program"), a.add_argument("--steps", type=int, default=200), a.add_argument("--out")
    a.add_argument("--size", type=int, default=64), a.add_argument("--batch", type=int, default=8)
    a.add_argument("--last", type=int, default=50, help="the mean over so many last losses is compared too")
    a = a.parse_args()
    result = {}
    for task, net in (("unet", UNet(1, 1, 16, 4)), ("resnet18", ResNet18(1, 2, 32))):
        torch.manual_seed(1)
        net.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
        x, y = batches(task, a.steps, a.batch, a.size, np.random.default_rng(1))
        exact = trained(net, x, y, torch.float64)
        gen = torch.Generator().manual_seed(2)
        peers = {"oneDNN": trained(net, x, y, torch.float32), "plain": trained(net, x, y, torch.float32, mkldnn=False),
                 "channels_last": trained(net, x, y, torch.float32, torch.channels_last),
                 **{f"nudged {k}": trained(nudged(net, gen), x, y, torch.float32, torch.channels_last) for k in (1, 2, 3)}}
        ours = {}
        with tempfile.TemporaryDirectory() as folder:
            save_file({k: v.numpy().copy() for k, v in net.state_dict().items()}, folder + "/weights.safetensors")
            save_file({"x": x[..., None], "y": y}, folder + "/batches.safetensors")
            for conv in ("direct", "auto"):
                out = subprocess.run([a.program, task, folder, "--conv", conv], check=True, capture_output=True, text=True)
                ours[conv] = np.array([float(v) for v in out.stdout.split()])

        def distances(losses):
            return {"largest": float(np.abs(losses - exact).max()), "mean": float(np.abs(losses - exact).mean()),
                    "of_last_mean": float(abs(losses[-a.last:].mean() - exact[-a.last:].mean()))}

        rows = {f"PyTorch float32, {k}": distances(v) for k, v in peers.items()} | {f"ours, {k}": distances(v) for k, v in ours.items()}
        band = {k: max(rows[f"PyTorch float32, {p}"][k] for p in peers) for k in ("largest", "mean", "of_last_mean")}
        result[task] = {"steps": a.steps, "shape": f"{a.batch}x{a.size}x{a.size}", "torch": torch.__version__,
                        "first": exact[0], "last_mean": float(exact[-a.last:].mean()), "from_float64": rows, "band": band,
                        "inside": {k: bool(all(rows[f"ours, {k}"][d] <= band[d] for d in band)) for k in ours}}
        print(f"{task}: loss {exact[0]:.4f}, mean of the last {a.last} {exact[-a.last:].mean():.4f}; distance from float64:")
        for who, d in rows.items():
            print(f"  {who:32} largest {d['largest']:.2e}  mean {d['mean']:.2e}  of the last mean {d['of_last_mean']:.2e}")
    if a.out:
        with open(a.out, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
