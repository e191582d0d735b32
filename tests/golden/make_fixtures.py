#!/usr/bin/env python3
"""Writes the golden fixtures of this folder: what PyTorch 2.x computes for small copies of our models and for single ops.

    python tests/golden/make_fixtures.py          (needs torch, numpy and safetensors)

Every number is computed in float64 and stored rounded to float32. The same computation is then repeated by PyTorch in
float32 in three ways (oneDNN, plain, channels-last); the largest distance of these runs from the float64 result is
stored beside each tensor (metadata "f32_error", absolute). A test allows a small multiple of that distance, so its tolerance is
a measured property of the function in float32 and not a number tuned until the test passed.

Keys of a model file: input (U8; x = v/256 - 0.5), target, param/*, buffer/* (initial), eval_logits, train_logits, loss,
grad/*, after/* (running statistics after one training pass), losses (ten training steps, float64).
All tensors keep PyTorch's names and axis order.
"""
import copy
import json
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent


# ---------------------------------------------------------------- models
class DoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
            nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(cin, cout))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.up = nn.ConvTranspose2d(cin, cin // 2, 2, stride=2)
        self.conv = DoubleConv(cin, cout)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], 1))


class OutConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    """The milesial U-Net (bilinear=False) with its names, any width and depth."""

    def __init__(self, cin, classes, width, depth):
        super().__init__()
        self.depth = depth
        self.inc = DoubleConv(cin, width)
        for k in range(1, depth + 1):
            setattr(self, f"down{k}", Down(width << (k - 1), width << k))
        for k in range(1, depth + 1):
            setattr(self, f"up{k}", Up(width << (depth - k + 1), width << (depth - k)))
        self.outc = OutConv(width, classes)

    def forward(self, x):
        skips = [self.inc(x)]
        for k in range(1, self.depth + 1):
            skips.append(getattr(self, f"down{k}")(skips[-1]))
        y = skips.pop()
        for k in range(1, self.depth + 1):
            y = getattr(self, f"up{k}")(y, skips.pop())
        return self.outc(y)


class BrainUNet(nn.Module):
    """The brain-segmentation U-Net of torch.hub (four levels, concat order (decoder, encoder)), before its sigmoid."""

    def __init__(self, cin, cout, features):
        super().__init__()

        def named(prefix, a, b):
            s = nn.Sequential()
            s.add_module(prefix + "conv1", nn.Conv2d(a, b, 3, padding=1, bias=False))
            s.add_module(prefix + "norm1", nn.BatchNorm2d(b))
            s.add_module(prefix + "relu1", nn.ReLU())
            s.add_module(prefix + "conv2", nn.Conv2d(b, b, 3, padding=1, bias=False))
            s.add_module(prefix + "norm2", nn.BatchNorm2d(b))
            s.add_module(prefix + "relu2", nn.ReLU())
            return s

        c = cin
        for k in range(1, 5):
            setattr(self, f"encoder{k}", named(f"enc{k}", c, features << (k - 1)))
            c = features << (k - 1)
        self.bottleneck = named("bottleneck", c, features * 16)
        for k in (4, 3, 2, 1):
            w = features << (k - 1)
            setattr(self, f"upconv{k}", nn.ConvTranspose2d(2 * w, w, 2, stride=2))
            setattr(self, f"decoder{k}", named(f"dec{k}", 2 * w, w))
        self.conv = nn.Conv2d(features, cout, 1)

    def forward(self, x):
        skips = []
        for k in range(1, 5):
            x = getattr(self, f"encoder{k}")(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for k in (4, 3, 2, 1):
            x = getattr(self, f"upconv{k}")(x)
            x = getattr(self, f"decoder{k}")(torch.cat((x, skips[k - 1]), 1))
        return self.conv(x)


class VGG16(nn.Module):
    """torchvision's VGG16 with its names; 64 channels become `width`, 4096 become `fc`. Dropout is left out (p = 0)."""

    def __init__(self, cin, classes, width, fc, batch_norm):
        super().__init__()
        layers = []
        c = cin
        for v in (1, 1, "M", 2, 2, "M", 4, 4, 4, "M", 8, 8, 8, "M", 8, 8, 8, "M"):
            if v == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers.append(nn.Conv2d(c, v * width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(v * width))
            layers.append(nn.ReLU())
            c = v * width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(c * 49, fc), nn.ReLU(), nn.Dropout(0.0),
            nn.Linear(fc, fc), nn.ReLU(), nn.Dropout(0.0), nn.Linear(fc, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet18(nn.Module):
    """torchvision's ResNet18 with its names; 64 channels become `width`."""

    def __init__(self, cin, classes, width):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        c = width
        for k in range(4):
            o = width << k
            setattr(self, f"layer{k + 1}", nn.Sequential(BasicBlock(c, o, 1 if k == 0 else 2), BasicBlock(o, o, 1)))
            c = o
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return self.fc(x.mean((2, 3)))


# ---------------------------------------------------------------- losses
def bce_dice(logits, target):
    """mean BCE + mean over samples of 1 - (2 sum(p t) + 1)/(sum p + sum t + 1), p = sigmoid(logits)."""
    p, t = torch.sigmoid(logits).flatten(1), target.flatten(1)
    dice = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + dice.mean()


# ---------------------------------------------------------------- machinery
class Fixture:
    """Collects tensors of the float64 run and their distance from float32 runs of the same computation."""

    def __init__(self):
        self.runs = []

    def compute(self, function):
        """function(dtype, memory_format) -> {name: tensor}."""
        exact = function(torch.float64, torch.contiguous_format)
        error = {k: 0.0 for k in exact}
        for mkldnn, layout in ((True, torch.contiguous_format), (False, torch.contiguous_format), (True, torch.channels_last)):
            with torch.backends.mkldnn.flags(enabled=mkldnn):
                run = function(torch.float32, layout)
            for k in exact:
                if exact[k].numel():
                    error[k] = max(error[k], (exact[k].double() - run[k].double()).abs().max().item())
        return exact, error


def smooth_images(gen, n, size):
    """Band-limited random images as U8, so that pooling and ReLU decisions are not all near ties."""
    low = torch.rand(n, 1, size // 4, size // 4, generator=gen)
    x = F.interpolate(low, size=(size, size), mode="bilinear", align_corners=False)
    x = 0.7 * x + 0.3 * torch.rand(n, 1, size, size, generator=gen)
    return (x * 255).round().clamp(0, 255).to(torch.uint8)


def randomise(model, gen):
    """Kaiming-normal weights, small random biases, scales near 1, and running statistics that are not the defaults."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                fan_in = p[0].numel() if "up" not in name or p.dim() != 4 else p.shape[0]
                p.copy_(torch.randn(p.shape, generator=gen, dtype=torch.float32) * (2.0 / fan_in) ** 0.5)
            elif name.endswith("weight"):
                p.copy_(1 + 0.1 * torch.randn(p.shape, generator=gen))
            else:
                p.copy_(0.1 * torch.randn(p.shape, generator=gen))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.1 * torch.randn(b.shape, generator=gen))
            elif name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=gen))


def make_model(name, build, architecture, size, batch, task, optimizer, seed, training=True):
    gen = torch.Generator().manual_seed(seed)
    model = build()
    randomise(model, gen)
    images = smooth_images(gen, batch, size)
    if task == "seg":
        target = (F.avg_pool2d(images.float(), 5, 1, 2) > 127).to(torch.uint8)
    else:
        target = torch.arange(batch) % architecture["classes"]

    def criterion(logits, dtype):
        return bce_dice(logits, target.to(dtype)) if task == "seg" else F.cross_entropy(logits, target)

    def compute(dtype, layout):
        out = {}
        net = copy.deepcopy(model).to(dtype).to(memory_format=layout)
        x = (images.to(dtype) / 256 - 0.5).contiguous(memory_format=layout)
        net.eval()
        with torch.no_grad():
            out["eval_logits"] = net(x)
        if not training:
            return out
        net.train()
        logits = net(x)
        loss = criterion(logits, dtype)
        loss.backward()
        out["train_logits"] = logits.detach()
        out["loss"] = loss.detach().reshape(1)
        for k, p in net.named_parameters():
            out["grad/" + k] = p.grad.clone()
        for k, b in net.named_buffers():
            out["after/" + k] = b.clone()
        net = copy.deepcopy(model).to(dtype).to(memory_format=layout).train()
        if optimizer["name"] == "sgd":
            opt = torch.optim.SGD(net.parameters(), lr=optimizer["lr"], momentum=optimizer["momentum"])
        else:
            opt = torch.optim.Adam(net.parameters(), lr=optimizer["lr"])
        losses = []
        for _ in range(10):
            opt.zero_grad()
            loss = criterion(net(x), dtype)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        out["losses"] = torch.tensor(losses, dtype=torch.float64)
        return out

    exact, error = Fixture().compute(compute)
    if training:  # the error of one training step only grows along the trajectory: keep it per step
        error["losses"] = 0.0
        steps = np.zeros(10)
        for mkldnn, layout in ((True, torch.contiguous_format), (False, torch.contiguous_format), (True, torch.channels_last)):
            with torch.backends.mkldnn.flags(enabled=mkldnn):
                run = compute(torch.float32, layout)["losses"]
            steps = np.maximum(steps, (run - exact["losses"]).abs().numpy())
    tensors = {"input": images.numpy(), "target": target.numpy()}
    for k, p in model.named_parameters():
        tensors["param/" + k] = p.detach().numpy()
    for k, b in model.named_buffers():
        tensors["buffer/" + k] = b.numpy()
    for k, v in exact.items():
        keep = k == "losses" or v.dtype == torch.int64
        tensors[k] = v.numpy() if keep else v.float().numpy()
    if training:
        tensors["losses_f32_error"] = steps
    finish(name, tensors, {"architecture": json.dumps(architecture), "optimizer": json.dumps(optimizer)}, error)


def finish(name, tensors, metadata, error):
    tensors = {k: np.ascontiguousarray(v) if v.ndim else v for k, v in tensors.items()}
    metadata["f32_error"] = json.dumps({k: float(f"{e:.3e}") for k, e in error.items()})
    metadata["torch"] = torch.__version__.split("+")[0]
    path = HERE / f"{name}.safetensors"
    save_file(tensors, path, metadata)
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1024:.0f} KB, "
          f"losses {np.round(tensors.get('losses', np.zeros(0)), 4)}")


# ---------------------------------------------------------------- single ops
def make_ops():
    gen = torch.Generator().manual_seed(7)
    tensors, error, cases = {}, {}, {}

    def r(*shape):
        return torch.randn(*shape, generator=gen)

    def case(name, attrs, inputs, function):
        """Stores inputs, y, and the gradient of sum(y * dy) for every floating input, for a stored random dy."""
        with torch.no_grad():
            probe = function(**{k: v.double() if v.is_floating_point() else v for k, v in inputs.items()})
        dy = torch.randn(probe.shape, generator=gen)

        def compute(dtype, _layout):
            args = {k: (v.to(dtype).clone().requires_grad_(True) if v.is_floating_point() else v) for k, v in inputs.items()}
            y = function(**args)
            (y * dy.to(dtype)).sum().backward()
            out = {f"{name}/y": y.detach()}
            for k, v in args.items():
                if v.is_floating_point() and v.grad is not None:
                    out[f"{name}/d{k}"] = v.grad
            return out

        exact, err = Fixture().compute(compute)
        for k, v in inputs.items():
            tensors[f"{name}/{k}"] = v.numpy()
        tensors[f"{name}/dy"] = dy.numpy()
        tensors.update({k: v.float().numpy() for k, v in exact.items()})
        error.update(err)
        cases[name] = attrs

    def conv(name, n, h, w, cin, cout, k, bias=True, **attrs):
        groups = attrs.get("groups", 1)
        inputs = {"x": r(n, cin, h, w), "w": r(cout, cin // groups, *k) * 0.3}
        if bias:
            inputs["b"] = r(cout)
        case(name, {"op": "conv2d", **attrs}, inputs, lambda x, w, b=None: F.conv2d(x, w, b, **attrs))

    conv("conv_plain", 2, 9, 7, 3, 5, (3, 3), padding=1)
    conv("conv_stride", 2, 11, 8, 3, 4, (3, 3), stride=2, padding=1)
    conv("conv_7x7_stride", 1, 17, 13, 1, 3, (7, 7), stride=2, padding=3, bias=False)
    conv("conv_dilation", 1, 11, 12, 2, 3, (3, 3), padding=2, dilation=2)
    conv("conv_groups", 2, 6, 5, 6, 4, (3, 3), padding=1, groups=2)
    conv("conv_1x1", 2, 5, 4, 7, 3, (1, 1))
    conv("conv_4x4_stride", 1, 10, 8, 2, 3, (4, 4), stride=2, padding=1)

    def conv_t(name, n, h, w, cin, cout, k, **attrs):
        case(name, {"op": "conv_transpose2d", **attrs}, {"x": r(n, cin, h, w), "w": r(cin, cout, k, k) * 0.3, "b": r(cout)},
             lambda x, w, b: F.conv_transpose2d(x, w, b, **attrs))

    conv_t("conv_transpose_2x2", 2, 5, 3, 4, 2, 2, stride=2)
    conv_t("conv_transpose_4x4", 1, 4, 5, 3, 2, 4, stride=2, padding=1)
    conv_t("conv_transpose_3x3_out", 1, 4, 3, 2, 3, 3, stride=2, padding=1, output_padding=1)

    case("linear", {"op": "linear"}, {"x": r(5, 7), "w": r(3, 7), "b": r(3)}, lambda x, w, b: F.linear(x, w, b))
    for name, size, h, w in (("adaptive_7_from_2", 7, 2, 2), ("adaptive_3_from_7x5", 3, 7, 5), ("adaptive_1", 1, 4, 6)):
        case(name, {"op": "adaptive_avg_pool2d", "size": size}, {"x": r(2, 3, h, w)}, lambda x, s=size: F.adaptive_avg_pool2d(x, s))
    case("max_pool_3s2p1", {"op": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}, {"x": r(2, 3, 9, 8)},
         lambda x: F.max_pool2d(x, 3, 2, 1))
    case("max_pool_2", {"op": "max_pool2d", "kernel": 2, "stride": 2, "padding": 0}, {"x": r(2, 3, 7, 6)}, lambda x: F.max_pool2d(x, 2))
    case("avg_pool_2", {"op": "avg_pool2d", "kernel": 2, "stride": 2, "padding": 0}, {"x": r(2, 3, 7, 6)}, lambda x: F.avg_pool2d(x, 2))
    for align in (False, True):
        case(f"bilinear_align_{str(align).lower()}", {"op": "upsample_bilinear", "height": 9, "width": 7, "align_corners": align},
             {"x": r(2, 3, 4, 3)}, lambda x, a=align: F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=a))
    case("nearest_x2", {"op": "upsample_nearest", "scale": 2}, {"x": r(2, 3, 4, 3)}, lambda x: F.interpolate(x, scale_factor=2, mode="nearest"))
    case("batch_norm_train", {"op": "batch_norm_train"}, {"x": r(3, 4, 5, 3), "w": r(4), "b": r(4)},
         lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True))
    mean, var = r(4), 0.5 + torch.rand(4, generator=gen)
    tensors["batch_norm_eval/mean"], tensors["batch_norm_eval/var"] = mean.numpy(), var.numpy()
    case("batch_norm_eval", {"op": "batch_norm_eval"}, {"x": r(3, 4, 5, 3), "w": r(4), "b": r(4)},
         lambda x, w, b: F.batch_norm(x, mean.to(x.dtype), var.to(x.dtype), w, b, training=False))
    case("instance_norm", {"op": "instance_norm"}, {"x": r(3, 4, 5, 3), "w": r(4), "b": r(4)},
         lambda x, w, b: F.instance_norm(x, weight=w, bias=b))
    labels = torch.tensor([0, 2, 1, 2, 2])
    case("cross_entropy", {"op": "cross_entropy"}, {"x": r(5, 3), "target": labels}, lambda x, target: F.cross_entropy(x, target))
    weights = torch.tensor([0.5, 1.0, 3.0])
    tensors["cross_entropy_weighted/class_weight"] = weights.numpy()
    case("cross_entropy_weighted", {"op": "cross_entropy"}, {"x": r(5, 3), "target": labels},
         lambda x, target: F.cross_entropy(x, target, weights.to(x.dtype)))
    mask = (torch.rand(2, 1, 4, 5, generator=gen) > 0.5).float()
    tensors["bce_dice/target"] = mask.numpy()
    case("bce_dice", {"op": "bce_dice"}, {"x": r(2, 1, 4, 5)}, lambda x: bce_dice(x, mask.to(x.dtype)))
    t = r(4, 3)
    tensors["gauss_nll/target"] = t.numpy()  # Kendall and Gal 2017, equation 8: mean of exp(-s)/2 (t - f)^2 + s/2
    case("gauss_nll", {"op": "gauss_nll"}, {"x": r(4, 3), "s": r(4, 3)},
         lambda x, s: (0.5 * torch.exp(-s) * (t.to(x.dtype) - x) ** 2 + 0.5 * s).mean())

    # Optimizers: w after 1..4 steps along stored gradients.
    w0, grads = r(11), r(4, 11)
    tensors["optim/w"], tensors["optim/grads"] = w0.numpy(), grads.numpy()
    optimizers = {
        "sgd": (torch.optim.SGD, {"lr": 0.1}),
        "sgd_momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        "sgd_nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        "adam": (torch.optim.Adam, {"lr": 0.01, "betas": (0.9, 0.999), "weight_decay": 0.01}),
        "adamw": (torch.optim.AdamW, {"lr": 0.01, "betas": (0.5, 0.999), "weight_decay": 0.1}),
    }
    for name, (kind, options) in optimizers.items():
        def compute(dtype, _layout, kind=kind, options=options, name=name):
            w = w0.to(dtype).clone().requires_grad_(True)
            opt = kind([w], **options)
            states = []
            for g in grads:
                w.grad = g.to(dtype)
                opt.step()
                states.append(w.detach().clone())
            return {f"optim/{name}": torch.stack(states)}

        exact, err = Fixture().compute(compute)
        tensors.update({k: v.float().numpy() for k, v in exact.items()})
        error.update(err)
        cases["optim/" + name] = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    # Schedules: the learning rate of steps 0..11.
    def rates(make):
        opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = make(opt)
        out = []
        for _ in range(12):
            out.append(opt.param_groups[0]["lr"])
            opt.step()
            schedule.step()
        return np.array(out)

    lr = torch.optim.lr_scheduler
    tensors["schedule/step"] = rates(lambda o: lr.StepLR(o, 3, 0.5))
    tensors["schedule/cosine"] = rates(lambda o: lr.CosineAnnealingLR(o, 10, 0.001))
    tensors["schedule/linear"] = rates(lambda o: lr.LinearLR(o, 1.0, 0.0, 10))
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    plateau, out = lr.ReduceLROnPlateau(opt, factor=0.5, patience=1, threshold=1e-4, threshold_mode="abs"), []
    values = [1.0, 0.9, 0.95, 0.93, 0.92, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
    for v in values:
        plateau.step(v)
        out.append(opt.param_groups[0]["lr"])
    tensors["schedule/plateau"], tensors["schedule/plateau_values"] = np.array(out), np.array(values)
    finish("ops", tensors, {"cases": json.dumps(cases)}, error)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sgd = {"name": "sgd", "lr": 0.01, "momentum": 0.9}
    adam = {"name": "adam", "lr": 0.001}
    make_ops()
    make_model("unet", lambda: UNet(1, 1, 4, 3), {"model": "unet", "in_channels": 1, "classes": 1, "width": 4, "depth": 3},
               size=32, batch=2, task="seg", optimizer=adam, seed=1)
    make_model("unet_brain", lambda: BrainUNet(1, 1, 2), {"model": "unet", "in_channels": 1, "classes": 1, "width": 2, "depth": 4},
               size=32, batch=2, task="seg", optimizer=adam, seed=2, training=False)
    for bn in (False, True):
        make_model("vgg16_bn" if bn else "vgg16", lambda: VGG16(1, 3, 2, 16, bn),
                   {"model": "vgg16_bn" if bn else "vgg16", "in_channels": 1, "classes": 3, "width": 2, "fc": 16},
                   size=64, batch=8, task="cls", optimizer={"name": "sgd", "lr": 0.0002 if bn else 0.01, "momentum": 0.9}, seed=3)
    make_model("resnet18", lambda: ResNet18(1, 3, 3), {"model": "resnet18", "in_channels": 1, "classes": 3, "width": 3},
               size=64, batch=4, task="cls", optimizer=sgd, seed=5)
    try:
        import torchvision
    except ImportError:
        print("keys.txt is kept as it is: torchvision is not installed")
    else:  # every state-dict entry at full size: "model name d0xd1x..."; the U-Nets come from the classes above
        with torch.device("meta"), open(HERE / "keys.txt", "w") as out:
            full = {"vgg16": torchvision.models.vgg16(), "vgg16_bn": torchvision.models.vgg16_bn(),
                    "resnet18": torchvision.models.resnet18(), "unet": UNet(1, 1, 64, 4), "unet_brain": BrainUNet(3, 1, 32)}
            for name, model in full.items():
                for k, v in model.state_dict().items():
                    print(name, k, "x".join(map(str, v.shape)) or "scalar", file=out)
                print("keys", name, sum(p.numel() for p in model.parameters()))
