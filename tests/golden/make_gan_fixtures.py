#!/usr/bin/env python3
"""Writes the golden fixtures of the conditional GANs: what PyTorch 2.x computes for narrow copies of pix2pix and of the
networks of Mahapatra et al. 2018.

    python tests/golden/make_gan_fixtures.py          (needs torch, numpy and safetensors)

Numbers and bounds are made as in make_fixtures.py: float64, and beside each tensor the distance of three float32 runs.

Keys: condition, target (U8; v/128 - 1), latent; {g,d}/param/*, {g,d}/buffer/* (initial); g_eval, d_eval (on the real pair);
one pass in training with the initial weights: g_train, losses (d_real, d_fake, d, g_gan, g_content, g), {g,d}/grad/* and
{g,d}/after/* (running statistics); ten alternating steps: losses_d, losses_g, and ema/* of some weights.
"""
import copy
import json

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from make_fixtures import Fixture, finish, smooth_images


# ---------------------------------------------------------------- pix2pix, with the published names
def norm_layer(kind, channels):
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels)


def halving(cin, cout, bias):
    return nn.Conv2d(cin, cout, 4, 2, 1, bias=bias)


def doubling(cin, cout, bias):
    return nn.ConvTranspose2d(cin, cout, 4, 2, 1, bias=bias)


class Nested(nn.Module):
    """One level of the U-Net with all deeper levels inside; `model` is a flat sequence, as in the published code."""

    def __init__(self, level, o):
        super().__init__()
        def channels(k):
            return o["width"] * min(2 ** k, 8)

        self.level, bias, last = level, o["norm"] == "instance", level == o["depth"] - 1
        c = channels(level)
        outer_in = o["condition_channels"] if level == 0 else channels(level - 1)
        outer_out = o["image_channels"] if level == 0 else channels(level - 1)
        down = [] if level == 0 else [nn.LeakyReLU(0.2)]
        down.append(halving(outer_in, c, bias and level > 0))
        if 0 < level and not last:
            down.append(norm_layer(o["norm"], c))
        inside = [] if last else [Nested(level + 1, o)]
        up = [nn.ReLU(), doubling(c if last else 2 * c, outer_out, bias or level == 0)]
        up.append(norm_layer(o["norm"], outer_out) if level > 0 else nn.Tanh())
        self.model = nn.Sequential(*down, *inside, *up)

    def forward(self, x):
        y = self.model(x)
        return y if self.level == 0 else torch.cat([x, y], 1)


class UnetGenerator(nn.Module):
    """Without dropout: its random numbers are not ours."""

    def __init__(self, o):
        super().__init__()
        self.model = Nested(0, o)

    def forward(self, x, z):
        return self.model(x)


class PatchDiscriminator(nn.Module):
    def __init__(self, o):
        super().__init__()
        layers, bias = [], o["norm"] == "instance"
        c = o["condition_channels"] + o["image_channels"]
        for k in range(o["judge_layers"] + 1):
            width = o["judge_width"] * min(2 ** k, 8)
            layers.append(nn.Conv2d(c, width, 4, 2 if k < o["judge_layers"] else 1, 1, bias=bias or k == 0))
            if k > 0:
                layers.append(norm_layer(o["norm"], width))
            layers.append(nn.LeakyReLU(0.2))
            c = width
        self.model = nn.Sequential(*layers, nn.Conv2d(c, 1, 4, 1, 1))

    def forward(self, x):
        return self.model(x)


# ---------------------------------------------------------------- Mahapatra et al. 2018, with our names
class Block(nn.Module):
    def __init__(self, o):
        super().__init__()
        w, bias = o["width"], o["norm"] == "instance"
        self.conv1, self.norm1 = nn.Conv2d(w, w, 3, 1, 1, bias=bias), norm_layer(o["norm"], w)
        self.conv2, self.norm2 = nn.Conv2d(w, w, 3, 1, 1, bias=bias), norm_layer(o["norm"], w)
        if o["latent"] and o["injection"] == "film":
            self.gain, self.shift = nn.Linear(o["latent"], w), nn.Linear(o["latent"], w)

    def forward(self, x, z):
        y = self.norm1(self.conv1(x))
        if hasattr(self, "gain"):
            y = y * (1 + self.gain(z))[:, :, None, None] + self.shift(z)[:, :, None, None]
        return x + self.norm2(self.conv2(F.relu(y)))


class ResidualGenerator(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o, w, c, bias = o, o["width"], o["condition_channels"], o["norm"] == "instance"
        if o["latent"] and o["injection"] == "concat":
            self.embed = nn.Linear(o["latent"], (o["size"] // 8) ** 2 * o["latent_maps"])
            c += o["latent_maps"]
        self.conv_in = nn.Conv2d(c, w, 9, 1, 4)
        self.blocks = nn.ModuleList(Block(o) for _ in range(o["blocks"]))
        self.conv_mid, self.norm_mid = nn.Conv2d(w, w, 3, 1, 1, bias=bias), norm_layer(o["norm"], w)
        self.conv_out = nn.Conv2d(w, o["image_channels"], 9, 1, 4)

    def forward(self, x, z):
        if hasattr(self, "embed"):
            side = self.o["size"] // 8  # the map is laid out row by row with its channels last
            m = self.embed(z).view(-1, side, side, self.o["latent_maps"]).permute(0, 3, 1, 2)
            x = torch.cat([x, F.interpolate(m, scale_factor=8, mode="bilinear", align_corners=False)], 1)
        first = y = F.relu(self.conv_in(x))
        for block in self.blocks:
            y = block(y, z)
        return torch.tanh(self.conv_out(self.norm_mid(self.conv_mid(y)) + first))


class DenseDiscriminator(nn.Module):
    def __init__(self, o):
        super().__init__()
        c, bias = o["condition_channels"] + o["image_channels"], o["norm"] == "instance"
        self.convs, self.norms = nn.ModuleList(), nn.ModuleDict()
        for k in range(8):
            width = o["judge_width"] << (k // 2)
            self.convs.append(nn.Conv2d(c, width, 3, 1 + k % 2, 1, bias=bias or k == 0))
            if k > 0:
                self.norms[str(k)] = norm_layer(o["norm"], width)
            c = width
        self.dense = nn.ModuleList([nn.Linear(c * (o["size"] // 16) ** 2, o["fc"]), nn.Linear(o["fc"], 1)])

    def forward(self, x):
        for k, conv in enumerate(self.convs):
            x = conv(x)
            x = F.leaky_relu(self.norms[str(k)](x) if k > 0 else x, 0.2)
        return self.dense[1](F.leaky_relu(self.dense[0](torch.flatten(x, 1)), 0.2))


# ---------------------------------------------------------------- machinery
def randomise(net, gen):
    """Weights that keep the variance of what they multiply, so that no loss is at the flat end of its sigmoid."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.ConvTranspose2d):
                fan_in = module.weight.shape[0] * 4  # of the 16 taps four meet each output
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                fan_in = module.weight[0].numel()
            else:
                continue
            module.weight.copy_(torch.randn(module.weight.shape, generator=gen) * (1.5 / fan_in) ** 0.5)
        for name, p in net.named_parameters():
            if p.dim() == 1:
                p.copy_(0.1 * torch.randn(p.shape, generator=gen) + name.endswith("weight"))
        for name, b in net.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.1 * torch.randn(b.shape, generator=gen))
            elif name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=gen))


def verdict(logits, real, kind):
    target = torch.full_like(logits, float(real))
    return F.mse_loss(logits, target) if kind == "least_squares" else F.binary_cross_entropy_with_logits(logits, target)


def make_gan(name, kind, weight, seed, batch=2, **changes):
    o = {"generator": "unet", "discriminator": "patch", "norm": "batch", "injection": "concat", "size": 32,
         "condition_channels": 1, "image_channels": 1, "width": 2, "judge_width": 3, "depth": 5, "blocks": 2, "latent": 0,
         "latent_maps": 2, "judge_layers": 3, "fc": 16, "dropout": 0.0} | changes
    gen = torch.Generator().manual_seed(seed)
    generator = UnetGenerator(o) if o["generator"] == "unet" else ResidualGenerator(o)
    discriminator = PatchDiscriminator(o) if o["discriminator"] == "patch" else DenseDiscriminator(o)
    randomise(generator, gen)
    randomise(discriminator, gen)
    n = o["condition_channels"]
    condition = smooth_images(gen, batch * n, o["size"]).view(batch, n, o["size"], o["size"])
    target = smooth_images(gen, batch, o["size"])
    latent = torch.randn(batch, max(1, o["latent"]), generator=gen)
    followed = [k for k, _ in generator.named_parameters()]
    followed = [followed[0], followed[-1]] if o["generator"] == "unet" else ["conv_in.weight", "conv_out.bias"]

    def compute(dtype, layout):
        def fresh():
            return [copy.deepcopy(net).to(dtype).to(memory_format=layout) for net in (generator, discriminator)]

        x, y = ((t.to(dtype) / 128 - 1).contiguous(memory_format=layout) for t in (condition, target))
        z, out = latent.to(dtype), {}

        def loss_d(d, fake):
            on_fake = verdict(d(torch.cat([x, fake.detach()], 1)), False, kind)
            on_real = verdict(d(torch.cat([x, y], 1)), True, kind)
            return on_real, on_fake, (on_real + on_fake) / 2

        def loss_g(d, fake):
            fooled, content = verdict(d(torch.cat([x, fake], 1)), True, kind), F.l1_loss(fake, y)
            return fooled, content, fooled + weight * content

        g, d = fresh()
        with torch.no_grad():
            out["g_eval"], out["d_eval"] = g.eval()(x, z), d.eval()(torch.cat([x, y], 1))
        g, d = g.train(), d.train()
        fake = g(x, z)
        of_d = loss_d(d, fake)
        for k, v in zip([k for k, _ in d.named_parameters()], torch.autograd.grad(of_d[2], list(d.parameters()))):
            out["d/grad/" + k] = v
        of_g = loss_g(d, fake)
        for k, v in zip([k for k, _ in g.named_parameters()], torch.autograd.grad(of_g[2], list(g.parameters()))):
            out["g/grad/" + k] = v
        out["g_train"], out["losses"] = fake.detach(), torch.stack([*of_d, *of_g]).detach()
        for prefix, net in (("g", g), ("d", d)):
            for k, b in net.named_buffers():
                out[f"{prefix}/after/{k}"] = b.clone()

        g, d = fresh()
        adam = [torch.optim.Adam(net.train().parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d)]
        average = {k: p.detach().clone() for k, p in g.named_parameters()}
        losses = []
        for step in range(1, 11):
            fake = g(x, z)
            total_d = loss_d(d, fake)[2]
            adam[1].zero_grad()
            total_d.backward()
            adam[1].step()
            total_g = loss_g(d, fake)[2]
            adam[0].zero_grad()
            total_g.backward()
            adam[0].step()
            losses.append([total_d.item(), total_g.item()])
            decay = min(0.999, (1 + step) / (10 + step))
            for k, p in g.named_parameters():
                average[k] += (1 - decay) * (p.detach() - average[k])
        out["trajectory"] = torch.tensor(losses, dtype=torch.float64)
        for k in followed:
            out["ema/" + k] = average[k]
        return out

    exact, error = Fixture().compute(compute)
    steps = np.zeros((10, 2))  # the error grows along the trajectory: keep it per step
    for mkldnn, layout in ((True, torch.contiguous_format), (False, torch.contiguous_format), (True, torch.channels_last)):
        with torch.backends.mkldnn.flags(enabled=mkldnn):
            run = compute(torch.float32, layout)["trajectory"]
        steps = np.maximum(steps, (run - exact["trajectory"]).abs().numpy())
    trajectory = exact.pop("trajectory").numpy()
    tensors = {"condition": condition.numpy(), "target": target.numpy(), "latent": latent.numpy()}
    for i, which in enumerate("dg"):
        tensors["losses_" + which], tensors[f"losses_{which}_f32_error"] = trajectory[:, i], steps[:, i]
    for prefix, net in (("g", generator), ("d", discriminator)):
        tensors.update({f"{prefix}/param/{k}": p.detach().numpy() for k, p in net.named_parameters()})
        tensors.update({f"{prefix}/buffer/{k}": b.numpy() for k, b in net.named_buffers()})
    for k, v in exact.items():
        tensors[k] = v.numpy() if v.dtype == torch.int64 else v.float().numpy()
    finish(name, tensors, {"architecture": json.dumps(o), "loss": json.dumps({"kind": kind, "content_weight": weight})}, error)
    print("   d", np.round(trajectory[:, 0], 4), "\n   g", np.round(trajectory[:, 1], 4))


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_gan("gan_pix2pix", "logistic", 100, seed=1)
    make_gan("gan_pix2pix_instance", "least_squares", 10, seed=2, norm="instance", condition_channels=2, size=64)
    make_gan("gan_residual", "logistic", 10, seed=3, generator="residual", discriminator="dense", latent=5, width=6)
    make_gan("gan_residual_film", "least_squares", 10, seed=4, generator="residual", discriminator="dense", norm="instance",
             injection="film", latent=5, width=6, judge_layers=2)
