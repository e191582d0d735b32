#!/usr/bin/env python3
"""Medians of the lines of bench/run.sh or bench/gpu_all.sh as JSON on standard output, as a table on standard error."""
import collections
import json
import statistics
import sys

rows = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    r = json.loads(line)
    key = (r["model"], r["phase"], f'{r["batch"]}x{r["size"]}x{r["size"]}, width {r["width"]}', r["threads"])
    rows[key][f'PyTorch {r["torch"]} {r["mode"]}' if "torch" in r else "ours"].append(r)

table = []
for (model, phase, shape, threads), by in rows.items():
    ms = {who: statistics.median(r["ms"] for r in rs) for who, rs in by.items()}
    spread = {who: [min(r["ms"] for r in rs), max(r["ms"] for r in rs)] for who, rs in by.items()}
    peak = {who: round(max(r["peak_mib"] for r in rs)) for who, rs in by.items()}
    row = {"model": model, "phase": phase, "shape": shape, "threads": threads, "ours_ms": ms["ours"],
           "ours_spread_ms": spread["ours"], "ours_peak_mib": peak["ours"]}
    peers = [who for who in ms if who != "ours"]
    if peers:
        best = min(peers, key=ms.get)
        row |= {"peer": best, "peer_ms": ms[best], "peer_spread_ms": spread[best], "peer_peak_mib": peak[best],
                "ratio": round(ms[best] / ms["ours"], 3)}
    table.append(row)
json.dump(table, sys.stdout, indent=1)
for r in table:
    print(f'{r["model"]:9} {r["phase"]:6} {r["shape"]:22} {r["threads"]} threads: ours {r["ours_ms"]:8.1f} ms'
          + (f', {r["peer"]} {r["peer_ms"]:8.1f} ms, ratio {r["ratio"]:.2f}' if "peer" in r else ""), file=sys.stderr)
