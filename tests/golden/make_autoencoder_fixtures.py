#!/usr/bin/env python3
"""Writes the golden fixture of the mask autoencoder: what PyTorch 2.x computes for a narrow copy with our names.

    python tests/golden/make_autoencoder_fixtures.py          (needs torch, numpy and safetensors)

Numbers and bounds are made as in make_fixtures.py: float64, and beside each tensor the distance of three float32 runs.
Keys: mask (U8, 0 and 1); param/*, buffer/* (initial); code, logits (evaluation); loss, grad/*, after/* (one training pass).
"""
import copy
import json

import torch
import torch.nn as nn
import torch.nn.functional as F

from make_fixtures import Fixture, bce_dice, finish, smooth_images
from make_gan_fixtures import randomise

LEVELS, GATHERED = 4, 8


class MaskAutoencoder(nn.Module):
    def __init__(self, o):
        super().__init__()
        deepest, self.side = o["width"] << (LEVELS - 1), o["size"] >> LEVELS
        widths = [1, *(o["width"] << k for k in range(LEVELS))]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=False) for a, b in zip(widths, widths[1:]))
        self.down_norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[1:])
        self.gather = nn.Conv2d(deepest, deepest * GATHERED, self.side, groups=deepest, bias=False)
        self.squeeze = nn.Linear(deepest * GATHERED, o["latent"])
        self.code_norm = nn.BatchNorm1d(o["latent"])
        self.expand = nn.Linear(o["latent"], self.side**2 * deepest)
        back = widths[:0:-1] + [1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=b == 1) for a, b in zip(back, back[1:]))
        self.up_norms = nn.ModuleList(nn.BatchNorm2d(a) for a in back[:-1])

    def encode(self, mask):
        y = 2 * mask - 1
        for conv, norm in zip(self.down, self.down_norms):
            y = F.leaky_relu(norm(conv(y)), 0.2)
        return self.code_norm(self.squeeze(torch.flatten(self.gather(y), 1)))

    def decode(self, z):  # the map is laid out row by row with its channels last
        y = self.expand(z).view(len(z), self.side, self.side, -1).permute(0, 3, 1, 2)
        for conv, norm in zip(self.up, self.up_norms):
            y = conv(F.relu(norm(y)))
        return y


def main():
    o = {"size": 32, "width": 2, "latent": 5}
    gen = torch.Generator().manual_seed(5)
    model = MaskAutoencoder(o)
    randomise(model, gen)
    mask = (smooth_images(gen, 4, o["size"]) > 127).to(torch.uint8)

    def compute(dtype, layout):
        net = copy.deepcopy(model).to(dtype).to(memory_format=layout).eval()
        m = mask.to(dtype).contiguous(memory_format=layout)
        with torch.no_grad():
            code = net.encode(m)
            out = {"code": code, "logits": net.decode(code)}
        net.train()
        loss = bce_dice(net.decode(net.encode(m)), m)
        loss.backward()
        out["loss"] = loss.detach().reshape(1)
        out |= {"grad/" + k: p.grad.clone() for k, p in net.named_parameters()}
        return out | {"after/" + k: b.clone() for k, b in net.named_buffers()}

    exact, error = Fixture().compute(compute)
    tensors = {"mask": mask.numpy()}
    tensors |= {"param/" + k: p.detach().numpy() for k, p in model.named_parameters()}
    tensors |= {"buffer/" + k: b.numpy() for k, b in model.named_buffers()}
    tensors |= {k: v.numpy() if v.dtype == torch.int64 else v.float().numpy() for k, v in exact.items()}
    finish("mask_autoencoder", tensors, {"architecture": json.dumps(o)}, error)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
