#!/usr/bin/env python3
"""The same phases in PyTorch, for bench/run.sh and bench/gpu_all.sh: one JSON line per batch size.

    python3 bench/models_torch.py unet train 8 128 16 --threads 2 --repeats 5 --mode channels_last
Modes: eager | channels_last | compile | reduce-overhead | max-autotune (the last three are modes of torch.compile,
channels_last). --device cuda times a GPU, with --tf32 1 in TF32, with --bf16 1 under autocast; deterministic kernels
unless --deterministic 0. With jemalloc preloaded, its name is added to the mode. Same architectures, shapes, losses and
optimizers as bench/models.cpp. mc is 20 passes of the whole network, as most code does it; with --together 5 (of 1, 2, 4, 5, 10, 20)
what comes before the first dropout is computed once and so many passes of the rest lie in one batch.
"""
import argparse
import gc
import json
import os
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def double_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
                         nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, w, depth=4, p=0.2):
        super().__init__()
        c = [w << i for i in range(depth + 1)]
        self.inc = double_conv(1, c[0])
        self.down = nn.ModuleList(double_conv(c[i], c[i + 1]) for i in range(depth))
        self.up = nn.ModuleList(nn.ConvTranspose2d(c[i + 1], c[i], 2, stride=2) for i in reversed(range(depth)))
        self.conv = nn.ModuleList(double_conv(2 * c[i], c[i]) for i in reversed(range(depth)))
        self.outc = nn.Conv2d(c[0], 1, 1)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return self.suffix(self.prefix(x))

    def prefix(self, x):
        """What comes before the first dropout."""
        skips = [self.inc(x)]
        for d in self.down[:-1]:
            skips.append(d(F.max_pool2d(skips[-1], 2)))
        return skips

    def suffix(self, skips):
        skips = [*skips[:-1], self.drop(skips[-1])]
        skips.append(self.drop(self.down[-1](F.max_pool2d(skips[-1], 2))))
        y = skips.pop()
        for i, (up, conv) in enumerate(zip(self.up, self.conv)):
            y = conv(torch.cat([skips.pop(), up(y)], 1))
            y = self.drop(y) if i < 2 else y
        return self.outc(y)


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o)
        self.c2, self.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.d = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if s > 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x))))) + self.d(x))


class ResNet18(nn.Module):
    def __init__(self, w, p=0.2):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.layers = nn.Sequential(Block(w, w, 1), Block(w, w, 1), Block(w, 2 * w, 2), Block(2 * w, 2 * w, 1),
                                    Block(2 * w, 4 * w, 2), Block(4 * w, 4 * w, 1), Block(4 * w, 8 * w, 2), Block(8 * w, 8 * w, 1))
        self.drop, self.fc = nn.Dropout(p), nn.Linear(8 * w, 2)

    def forward(self, x):
        return self.suffix(self.prefix(x))

    def prefix(self, x):
        return [self.layers(self.stem(x)).mean((2, 3))]

    def suffix(self, features):
        return self.fc(self.drop(features[0]))


class VGG16(nn.Module):
    def __init__(self, w, p=0.2, fc=4096):
        super().__init__()
        parts, c = [], 1
        for v in (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0):
            parts += [nn.Conv2d(c, v * w, 3, padding=1), nn.ReLU(inplace=True)] if v else [nn.MaxPool2d(2)]
            c = v * w or c
        self.features = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(7), nn.Flatten())
        self.fc1, self.fc2, self.fc3, self.drop = nn.Linear(49 * c, fc), nn.Linear(fc, fc), nn.Linear(fc, 2), nn.Dropout(p)

    def forward(self, x):
        return self.suffix(self.prefix(x))

    def prefix(self, x):
        return [F.relu(self.fc1(self.features(x)))]

    def suffix(self, features):
        return self.fc3(self.drop(F.relu(self.fc2(self.drop(features[0])))))


class Level(nn.Module):
    """One halving of pix2pix, what lies below it, and the doubling that mirrors it."""

    def __init__(self, outer, inner, below, outermost=False, drop=False):
        super().__init__()
        down = nn.Conv2d(1 if outermost else outer, inner, 4, 2, 1, bias=outermost)
        up = nn.ConvTranspose2d(2 * inner if below else inner, 1 if outermost else outer, 4, 2, 1, bias=outermost)
        if outermost:
            parts = [down, below, nn.ReLU(), up, nn.Tanh()]
        elif below:
            parts = [nn.LeakyReLU(0.2), down, nn.BatchNorm2d(inner), below, nn.ReLU(), up, nn.BatchNorm2d(outer)]
        else:
            parts = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, nn.BatchNorm2d(outer)]
        self.parts, self.outermost = nn.Sequential(*parts, *([nn.Dropout(0.5)] if drop else [])), outermost

    def forward(self, x):
        return self.parts(x) if self.outermost else torch.cat([x, self.parts(x)], 1)


def pix2pix_generator(w, size):
    depth = min(8, (size & -size).bit_length() - 1)
    c = [w * min(8, 1 << k) for k in range(depth)]
    level = None
    for k in reversed(range(1, depth)):
        level = Level(c[k - 1], c[k], level, drop=4 <= k < depth - 1)
    return Level(1, c[0], level, outermost=True)


def patch_discriminator(w):
    c, parts = [w, 2 * w, 4 * w, 8 * w], [nn.Conv2d(2, w, 4, 2, 1), nn.LeakyReLU(0.2)]
    for i in range(1, 4):
        parts += [nn.Conv2d(c[i - 1], c[i], 4, 2 if i < 3 else 1, 1, bias=False), nn.BatchNorm2d(c[i]), nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts, nn.Conv2d(c[3], 1, 4, 1, 1))


def compiled_or_not(a, net):
    modes = {"compile": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}
    return torch.compile(net, mode=modes[a.mode], dynamic=False) if a.mode in modes else net


def autocast(a):
    """Mixed precision as PyTorch's users have it: weights, losses and the optimizer stay float32."""
    return torch.autocast(torch.device(a.device).type, torch.bfloat16, enabled=bool(a.bf16))


def begin(a):
    """Where CUDA graphs replay: what their last replays gave is no longer needed."""
    if a.device != "cpu" and a.mode in ("reduce-overhead", "max-autotune"):
        torch.compiler.cudagraph_mark_step_begin()


def gan_step(a, layout):
    g, d = pix2pix_generator(a.width, a.size).to(a.device), patch_discriminator(a.width).to(a.device)
    x = torch.randn(a.batch, 1, a.size, a.size).to(a.device)
    y = torch.full((a.batch, 1, a.size, a.size), 0.5, device=a.device)
    if layout:
        g, d, x, y = (t.to(memory_format=torch.channels_last) for t in (g, d, x, y))
    networks = compiled_or_not(a, g), compiled_or_not(a, d)

    def make(images):
        with autocast(a):
            return networks[0](images).float()

    def judge(images):
        with autocast(a):
            return networks[1](images).float()

    g_optimizer, d_optimizer = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for n in (g, d))

    def verdict(logits, real):
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

    def step():
        begin(a)
        fake = make(x)
        d_optimizer.zero_grad(set_to_none=True)
        (0.5 * (verdict(judge(torch.cat([x, fake.detach()], 1)), False) + verdict(judge(torch.cat([x, y], 1)), True))).backward()
        d_optimizer.step()
        g_optimizer.zero_grad(set_to_none=True)
        d.requires_grad_(False)
        (verdict(judge(torch.cat([x, fake], 1)), True) + 100 * F.l1_loss(fake, y)).backward()
        d.requires_grad_(True)
        g_optimizer.step()

    return step


def task_step(a, layout):
    net = {"unet": UNet, "resnet18": ResNet18, "vgg16": VGG16}[a.model](a.width).to(a.device)
    x = torch.randn(a.batch, 1, a.size, a.size).to(a.device)
    if layout:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    compiled = compiled_or_not(a, net)

    def run(images):
        begin(a)
        with autocast(a):
            return compiled(images).float()

    target = (torch.arange(a.batch * a.size * a.size) % 3 == 0).float().view(a.batch, 1, a.size, a.size).to(a.device)
    labels = (torch.arange(a.batch) % 2).to(a.device)
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
    net.train(a.phase == "train")
    if a.phase == "mc":
        for m in net.modules():
            if isinstance(m, nn.Dropout):
                m.train()

    def probability(logits):
        return torch.sigmoid(logits) if a.model == "unet" else torch.softmax(logits, 1)

    def passes_by_hand():
        """20 passes that compute once what comes before the first dropout, --together of them in one batch."""
        state = net.prefix(x)
        for _ in range(0, 20, a.together):
            p = probability(net.suffix([s.repeat(a.together, *[1] * (s.dim() - 1)) for s in state]))
            yield p.view(a.together, a.batch, *p.shape[1:]).sum(0)

    def step():
        if a.phase != "train":
            with torch.inference_mode():
                if a.together:
                    return sum(passes_by_hand())
                return sum(probability(run(x)) for _ in range(20 if a.phase == "mc" else 1))
        opt.zero_grad(set_to_none=True)
        y = run(x)
        if a.model == "unet":
            p = torch.sigmoid(y)
            dice = 1 - (2 * (p * target).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
            loss = F.binary_cross_entropy_with_logits(y, target) + dice.mean()
        else:
            loss = F.cross_entropy(y, labels)
        loss.backward()
        opt.step()

    return step


def measured(a):
    """The line of one batch size."""
    gpu = a.device != "cpu"
    step = (gan_step if a.model == "pix2pix" else task_step)(a, a.mode != "eager")

    def one():
        step()
        if gpu:
            torch.cuda.synchronize()

    for _ in range(a.warmup):
        one()
    ms = []
    while len(ms) < a.repeats and (len(ms) < 5 or sum(ms) < 1000 * a.seconds):
        t = time.perf_counter()
        one()
        ms.append(1000 * (time.perf_counter() - t))
    ms.sort()
    return {"model": a.model, "phase": a.phase, "batch": a.batch, "size": a.size, "width": a.width,
            "threads": a.threads, "device": a.device,
            "mode": a.mode + ("+jemalloc" if "jemalloc" in os.environ.get("LD_PRELOAD", "") else ""),
            "policy": ("deterministic" if a.deterministic else "any order") + (" tf32" if a.tf32 else " strict") +
            (" bf16" if a.bf16 else ""),
            "torch": torch.__version__, "together": a.together, "ms": statistics.median(ms),
            "ms_min": ms[0], "ms_max": ms[-1], "ms_q1": ms[round(0.25 * (len(ms) - 1))],
            "ms_q3": ms[round(0.75 * (len(ms) - 1))], "repeats": len(ms),
            "peak_mib": torch.cuda.max_memory_allocated() / 2**20 if gpu else
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("model"), a.add_argument("phase"), a.add_argument("batch", help="one or several: 1,8,32")
    a.add_argument("size", type=int), a.add_argument("width", type=int)
    a.add_argument("--threads", type=int, default=2), a.add_argument("--repeats", type=int, default=5)
    a.add_argument("--seconds", type=float, default=1e9, help="of timed repeats, of which there are five at least")
    a.add_argument("--mode", default="channels_last",
                   choices=["eager", "channels_last", "compile", "reduce-overhead", "max-autotune"])
    a.add_argument("--device", default="cpu"), a.add_argument("--warmup", type=int, default=2)
    a.add_argument("--together", type=int, default=0, choices=[0, 1, 2, 4, 5, 10, 20])
    a.add_argument("--tf32", type=int, default=0), a.add_argument("--bf16", type=int, default=0)
    a.add_argument("--deterministic", type=int, default=1)
    a = a.parse_args()
    if a.bf16 and a.together:
        sys.exit("--bf16 is for whole networks, not for --together")
    torch.set_num_threads(a.threads)
    if a.device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = bool(a.tf32)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = bool(a.deterministic)
    failed = False
    for batch in a.batch.split(","):
        a.batch = int(batch)
        torch.manual_seed(1)
        try:
            print(json.dumps(measured(a)), flush=True)
        except Exception as e:  # one that does not fit does not stop the others
            print(f"models_torch.py: batch {batch}: {type(e).__name__}: {str(e)[:500]}", file=sys.stderr)
            failed = True
        if a.device != "cpu":
            torch._dynamo.reset()
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    sys.exit(failed)


if __name__ == "__main__":
    main()
