#!/usr/bin/env python3
"""Writes content_loss.safetensors: the terms of the generator's content loss and their gradients, by PyTorch's autograd.

    python tests/golden/make_content_fixtures.py          (needs torch, numpy and safetensors)

The network is torchvision's VGG16 up to relu4_1 with 2 channels where it has 64, three input channels and random weights.
Values are computed and stored as in make_fixtures.py: float64, with the distance of PyTorch's float32 runs beside each.

Keys: x, y, map (U8; v/256 in [0,1]), param/*, features (of x), and for each term of TERMS its value and d<term> (in x).
The soft histogram is written here from its definition: one window per pixel and bin, one matrix product, no shared code.
"""
import copy
import json

import torch
import torch.nn.functional as F

from make_fixtures import Fixture, VGG16, finish, randomise, smooth_images

BINS, SMALL = 32, 20


def entropy(p):
    return -(p * torch.log(p.clamp_min(1e-300 if p.dtype == torch.float64 else 1e-37))).sum(-1)


def nmi(x, y, bins=BINS):
    centres = (torch.arange(bins, dtype=x.dtype) + 0.5) / bins

    def windows(image):  # [N,P,bins]
        return torch.softmax(-0.5 * ((image.flatten(1)[..., None] - centres) * bins) ** 2, -1)

    wx, wy = windows(x), windows(y)
    joint = wx.transpose(1, 2) @ wy / wx.shape[1]
    s = entropy(joint.sum(2)) + entropy(joint.sum(1))
    return (2 * (s - entropy(joint.flatten(1))) / (s + 1e-12)).mean()


def main():
    gen = torch.Generator().manual_seed(11)
    model = VGG16(3, 2, 2, 4, False).features[:19]
    randomise(model, gen)
    x8 = smooth_images(gen, 2, 40)[:, :, :32]
    noise = smooth_images(gen, 2, 40)[:, :, :32]
    y8 = (0.8 * x8.float() + 0.2 * noise.float()).round().to(torch.uint8)
    map8 = smooth_images(gen, 2, 40)[:, :, :32]

    def compute(dtype, layout):
        net = copy.deepcopy(model).to(dtype).to(memory_format=layout)
        mean = torch.tensor([0.485, 0.456, 0.406], dtype=dtype)[:, None, None]
        deviation = torch.tensor([0.229, 0.224, 0.225], dtype=dtype)[:, None, None]

        def features(image):
            return net(((image.expand(-1, 3, -1, -1) - mean) / deviation).contiguous(memory_format=layout))

        y, weights = y8.to(dtype) / 256, map8.to(dtype) / 256
        terms = {
            "nmi": lambda x: 1 - nmi(x, y),
            "nmi_small": lambda x: 1 - nmi(F.adaptive_avg_pool2d(x, SMALL), F.adaptive_avg_pool2d(y, SMALL)),
            "vgg": lambda x: F.mse_loss(features(x), features(y)),
            "mse": lambda x: F.mse_loss(x, y),
            "saliency": lambda x: ((weights * (x - y) ** 2).mean((1, 2, 3)) / weights.mean((1, 2, 3))).mean(),
        }
        terms["total"] = lambda x: (terms["nmi"](x) + terms["vgg"](x) + terms["mse"](x)) / 3
        out = {"features": features(x8.to(dtype) / 256).detach()}
        for name, term in terms.items():
            x = (x8.to(dtype) / 256).requires_grad_(True)
            value = term(x)
            value.backward()
            out[name], out["d" + name] = value.detach().reshape(1), x.grad
        return out

    exact, error = Fixture().compute(compute)
    tensors = {"x": x8.numpy(), "y": y8.numpy(), "map": map8.numpy()}
    tensors.update({"param/features." + k: p.detach().numpy() for k, p in model.named_parameters()})
    tensors.update({k: v.float().numpy() for k, v in exact.items()})
    finish("content_loss", tensors, {"options": json.dumps({"bins": BINS, "nmi_small": SMALL, "width": 2})}, error)
    print({k: (round(v.item(), 6), error[k]) for k, v in exact.items() if v.numel() == 1})


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
