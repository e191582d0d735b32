#!/usr/bin/env python3
"""A plain U-Net in PyTorch on the same images, to know what Dice to expect of `querent train --task seg`.

    python3 bench/segment_torch.py ../shared/data/cxr/labels.csv --steps 900 --lr 1e-3 --csv split.csv
    build/querent train --data split.csv --task seg --size 128 --steps 900 --lr 1e-3 --dropout 0 --no-augment --val 0

Patients are split by a hash of their id (20 % to test); --csv writes that split, so that both train on the same cases.
Needs torch, numpy and pillow; nothing of this is used by Querent.
"""
import argparse
import csv
import hashlib
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from models_torch import UNet


def load(root, rows, size):
    def scaled(path):
        return np.asarray(Image.open(os.path.join(root, path)).convert("L").resize((size, size), Image.BOX))

    x = np.array([scaled(r["image"]) for r in rows], dtype=np.float32) / 255
    y = np.array([scaled(r["mask"]) > 127 for r in rows], dtype=np.float32)
    return torch.tensor((x - x.mean()) / x.std())[:, None], torch.tensor(y)[:, None]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("labels"), a.add_argument("--csv")
    a.add_argument("--steps", type=int, default=900), a.add_argument("--batch", type=int, default=8)
    a.add_argument("--lr", type=float, default=1e-3), a.add_argument("--size", type=int, default=128)
    a = a.parse_args()
    torch.manual_seed(1)
    root = os.path.dirname(os.path.abspath(a.labels))
    rows = list(csv.DictReader(open(a.labels)))
    is_test = np.array([int(hashlib.md5(r["patient_id"].encode()).hexdigest(), 16) % 100 < 20 for r in rows])
    if a.csv:
        with open(a.csv, "w", newline="") as f:
            out = csv.DictWriter(f, [*rows[0], "split"], extrasaction="ignore")
            out.writeheader()
            for r, test in zip(rows, is_test):
                paths = {k: os.path.join(root, r[k]) for k in ("image", "mask")}
                out.writerow({**r, **paths, "split": "test" if test else "train"})
    x, y = load(root, rows, a.size)
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    net = UNet(16, p=0).to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, a.lr, total_steps=a.steps, pct_start=0.1)
    rng, order = np.random.default_rng(1), []
    for step in range(a.steps):
        if len(order) < a.batch:
            order = [*order, *rng.permutation(train)]
        now, order = order[:a.batch], order[a.batch:]
        logits = net(x[now].to(memory_format=torch.channels_last))
        p, t = torch.sigmoid(logits), y[now]
        dice = (2 * (p * t).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + t.sum((1, 2, 3)) + 1)
        loss = F.binary_cross_entropy_with_logits(logits, t) + 1 - dice.mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)
    net.eval()
    with torch.inference_mode():
        p = torch.cat([(net(x[test[i:i + 32]]) > 0).float() for i in range(0, len(test), 32)])
    t = y[test]
    print(f"{len(test)} test images, Dice {(2 * (p * t).sum((1, 2, 3)) / (p.sum((1, 2, 3)) + t.sum((1, 2, 3)))).mean():.4f}")


if __name__ == "__main__":
    main()
