#!/usr/bin/env python3
"""The logs of bench/gpu_all.sh as Markdown: the measured roofline, models beside PyTorch, ops.

    python3 bench/gpu_table.py results >results/models.md
The share of the roofline is the time that the ops of our step would take, each at the measured FLOP/s or B/s, whichever
takes longer, over the measured time; for PyTorch too, which may run other ops. FLOP are those of the formula, so an
algorithm that needs fewer (Winograd) may exceed 100 %, and so may a step that fits into the GPU's cache.
"""
import json
import pathlib
import sys


def arithmetic(policy):
    return "bf16" if "bf16" in policy else "tf32" if "tf32" in policy else "strict"


def read(folder):
    """The lines of all logs, the last of each kind; the benchmarks of bench_ops by type; the names of rows without a line."""
    lines, ops, empty = {}, {}, []
    for log in sorted(pathlib.Path(folder).glob("*.log")):
        text = log.read_text(errors="replace")
        if log.stem.startswith("bench_ops_"):
            start = text.find("{\n")
            try:
                ops[log.stem.rpartition("_")[2]] = json.JSONDecoder().raw_decode(text[start:])[0]["benchmarks"]
            except (ValueError, KeyError):
                empty.append(log.stem)
            continue
        found = 0
        for line in text.splitlines():
            if not line.startswith('{"model"'):
                continue
            try:
                r = json.loads(line)
            except ValueError:
                continue
            found += 1
            lines[tuple(str(r.get(k)) for k in ("model", "phase", "batch", "size", "width", "torch", "mode", "policy"))] = r
        if not found and log.stem.startswith(("ours_", "torch_", "peaks_")):
            empty.append(log.stem)
    return list(lines.values()), ops, empty


def roofline_ms(costs, peak):
    return sum(n * max(gflop / peak["gflops"], mbyte / 1000 / peak["gbytes"]) for gflop, mbyte, n in costs) * 1000


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if part and whole else ""


def name_of(r):
    return f'PyTorch {r["torch"]} {r["mode"]}' if "torch" in r else "Querent"


def print_peaks(peaks):
    if not peaks:
        return
    print("## Measured roofline\n\n| arithmetic | TFLOP/s of a product | GB/s of a sum |\n|---|---|---|")
    for kind, p in peaks.items():
        print(f'| {kind} ({p["size"]} x {p["size"]}) | {p["gflops"] / 1000:.3g} | {p["gbytes"]:.0f} |')


def print_summary(groups):
    """Ours over the fastest of PyTorch's modes in the same arithmetic."""
    print("\n## Beside the fastest mode of PyTorch\n\n| | batch | arithmetic | ms | PyTorch ms | its mode | times as fast "
          "| peak MiB | PyTorch MiB |\n|---|---|---|---|---|---|---|---|---|")
    for (model, phase, batch, size, width), rs in groups.items():
        for r in (r for r in rs if "torch" not in r):
            kind = arithmetic(r["policy"])
            peers = [t for t in rs if "torch" in t and arithmetic(t["policy"]) == kind and "deterministic" not in t["policy"]]
            best = min(peers, key=lambda t: t["ms"], default=None)
            other = (f'{best["ms"]:.2f} | {best["mode"]} | {best["ms"] / r["ms"]:.2f} | {r["peak_mib"]:.0f} | '
                     f'{best["peak_mib"]:.0f}') if best else f'| | | {r["peak_mib"]:.0f} | '
            print(f'| {model} {phase}, {size} px, width {width} | {batch} | {kind} | {r["ms"]:.2f} | {other} |')


def print_group(key, rs, peaks):
    model, phase, batch, size, width = key
    print(f"\n### {model}, {phase}, batch {batch}, {size} px, width {width}\n")
    print("| | ms | quartiles | from, to | repeats | images/s | of the roofline | peak MiB |\n|---|---|---|---|---|---|---|---|")
    costs = {arithmetic(r["policy"]): r["costs"] for r in rs if "costs" in r}
    for r in sorted(rs, key=lambda r: r["ms"]):
        kind = arithmetic(r["policy"])
        share = percent(roofline_ms(costs[kind], peaks[kind]), r["ms"]) if kind in costs and kind in peaks else ""
        print(f'| {name_of(r)}, {r["policy"]} | {r["ms"]:.2f} | {r["ms_q1"]:.2f}, {r["ms_q3"]:.2f} | {r["ms_min"]:.2f}, '
              f'{r["ms_max"]:.2f} | {r["repeats"]} | {1000 * batch / r["ms"]:.0f} | {share} | {r["peak_mib"]:.0f} |')


def print_ops(kind, benchmarks, peaks):
    # Of f32 the strict arithmetic: the policy of bench_ops.
    peak = peaks.get("bf16" if kind == "bf16" else "strict")
    print(f"\n### Ops in {kind}\n\n| | µs | GFLOP/s | GB/s | of the roofline |\n|---|---|---|---|---|")
    for b in benchmarks:
        if "error_occurred" in b:
            print(f'| {b["name"]} | {b.get("error_message", "failed")} | | | |')
            continue
        flops, rate = b.get("FLOP/s", 0) / 1e9, b.get("B/s", 0) / 1e9
        share = percent(max(flops / peak["gflops"], rate / peak["gbytes"]), 1) if peak else ""
        us = b["real_time"] * {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}[b["time_unit"]] / b.get("calls", 1)
        print(f'| {b["name"].removesuffix("/real_time")} | {us:.1f} | {flops:.0f} | {rate:.0f} | {share} |')


def main():
    lines, ops, empty = read(sys.argv[1])
    peaks = {arithmetic(r["policy"]): r for r in lines if r["model"] == "peaks"}
    groups = {}
    for r in lines:
        if r["model"] != "peaks":
            groups.setdefault((r["model"], r["phase"], r["batch"], r["size"], r["width"]), []).append(r)
    groups = dict(sorted(groups.items()))
    print_peaks(peaks)
    print_summary(groups)
    print("\n## Models")
    for key, rs in groups.items():
        print_group(key, rs, peaks)
    for kind, benchmarks in ops.items():
        print_ops(kind, benchmarks, peaks)
    if empty:
        print("\nNot measured, see the logs: " + ", ".join(empty))


if __name__ == "__main__":
    main()
