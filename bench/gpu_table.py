#!/usr/bin/env python3
"""The lines of bench/gpu_all.sh as a Markdown table: one row per measurement, fastest first within each model."""
import json
import sys

rows = {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    rows.setdefault((r["model"], r["phase"], r["batch"], r["size"], r["width"]), []).append(r)
for (model, phase, batch, size, width), rs in rows.items():
    print(f"\n{model}, {phase}, batch {batch}, {size} px, width {width}\n")
    print("| | ms | from, to | images/s | peak MiB |\n|---|---|---|---|---|")
    for r in sorted(rs, key=lambda r: r["ms"]):
        who = f'PyTorch {r["torch"]}' if "torch" in r else "Querent"
        print(f'| {who} {r["mode"]}, {r["policy"]} | {r["ms"]:.2f} | {r["ms_min"]:.2f}, {r["ms_max"]:.2f} | '
              f'{1000 * batch / r["ms"]:.0f} | {r["peak_mib"]:.0f} |')
