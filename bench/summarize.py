#!/usr/bin/env python3
"""Medians of bench/run.sh's lines as JSON, and as the page docs/performance.md.

    python3 bench/summarize.py build/bench/models.lines build/bench/models.json docs/performance.md
    python3 bench/summarize.py fastest LINES    PyTorch's fastest mode/together in these lines of one row, for run.sh
"""
import collections
import json
import platform
import statistics
import sys


def rows_of(lines):
    """[{"model", "phase", "shape", "threads", "ours_ms", "peer_ms", "peer", "ratio", "ours_peak_mib", "peer_peak_mib"}]"""
    seen = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in lines:
        r = json.loads(line)
        shape, by_hand = f'{r["batch"]}x{r["size"]}x{r["size"]}, width {r["width"]}', r.get("together", 0)
        who = "ours"
        if "torch" in r:
            who = f'PyTorch {r["torch"]} {r["mode"]}' + (f", {by_hand} together" if by_hand else "")
        # MC-dropout is compared twice: with the plain loop, and with PyTorch's passes split by hand.
        for phase in ("mc", "mc by hand") if r["phase"] == "mc" and who == "ours" else (r["phase"] + " by hand" * bool(by_hand),):
            seen[(r["model"], phase, shape, r["threads"])][who].append(r)
    for (model, phase, shape, threads), by in seen.items():
        if phase == "mc by hand" and len(by) == 1:
            continue
        ms = {who: statistics.median(r["ms"] for r in rs) for who, rs in by.items()}
        spread = {who: [min(r["ms"] for r in rs), max(r["ms"] for r in rs)] for who, rs in by.items()}
        peak = {who: round(max(r["peak_mib"] for r in rs)) for who, rs in by.items()}
        row = {"model": model, "phase": phase, "shape": shape, "threads": threads, "ours_ms": ms["ours"],
               "peer_ms": None, "peer": None, "ratio": None, "ours_peak_mib": peak["ours"], "peer_peak_mib": None,
               "ours_spread_ms": spread["ours"], "peers_ms": {who: m for who, m in ms.items() if who != "ours"}}
        if row["peers_ms"]:
            rounds = max(len(by[who]) for who in row["peers_ms"])  # modes that were only tried have fewer
            best = min((who for who in row["peers_ms"] if len(by[who]) == rounds), key=ms.get)
            row |= {"peer": best, "peer_ms": ms[best], "peer_spread_ms": spread[best], "peer_peak_mib": peak[best],
                    "ratio": round(ms[best] / ms["ours"], 3)}
        yield row


def fastest(lines):
    """The fastest of the plain runs, and of MC-dropout also the fastest that was split by hand."""
    peers = [r for r in map(json.loads, lines) if "torch" in r]
    for by_hand in (False, True):
        runs = [r for r in peers if bool(r.get("together")) == by_hand]
        if runs:
            best = min(runs, key=lambda r: r["ms"])
            yield f'{best["mode"]}/{best["together"]}'


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def page(table):
    def span(ms, ends):
        return f"{ms:.1f} ({ends[0]:.0f}\u2013{ends[1]:.0f})"

    modes = ", ".join(dict.fromkeys(who.split()[2].strip(",") for r in table for who in r["peers_ms"])) or "none"
    lines = ["# Performance", "",
             "Written by `bench/summarize.py` from `build/bench/models.json`; `TORCH_PYTHON=python ./run bench` repeats it.", "",
             f"Processor: {processor()}. Milliseconds: the median over rounds in which our process and PyTorch's take turns,",
             "with the smallest and the largest round. Same shapes, losses, optimizers and threads. PyTorch is shown in the",
             f"fastest of the modes that were tried ({modes}; time to compile is not counted). *train* is one optimizer step, of both networks for pix2pix; *infer* one pass; *mc* 20 passes of",
             "MC-dropout, where ours computes what all passes share once and PyTorch runs the whole network 20 times; in *mc by hand*",
             "PyTorch's network was split at the first dropout, what comes before is computed once, and so many passes as are said",
             "lie in one batch. A mode with +jemalloc ran under that allocator, which keeps its memory, in huge pages. MiB: the largest",
             "resident size of the process.", "",
             "| model | phase | shape | threads | ours, ms | PyTorch, ms | its mode | times faster | ours, MiB | PyTorch, MiB |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for r in table:
        peer = [span(r["peer_ms"], r["peer_spread_ms"]), r["peer"].removeprefix("PyTorch "), f'{r["ratio"]:.2f}'] if r["peer"] else ["", "", ""]
        lines.append("| " + " | ".join([r["model"], r["phase"], r["shape"], str(r["threads"]), span(r["ours_ms"], r["ours_spread_ms"]), *peer,
                                        str(r["ours_peak_mib"]), str(r["peer_peak_mib"] or "")]) + " |")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1] == "fastest":
        with open(sys.argv[2]) as f:
            print(*fastest(f))
        return
    with open(sys.argv[1]) as f:
        table = list(rows_of(f))
    with open(sys.argv[2], "w") as f:
        json.dump(table, f, indent=1)
        f.write("\n")
    with open(sys.argv[3], "w") as f:
        f.write(page(table))
    for r in table:
        print(f'{r["model"]:9} {r["phase"]:6} {r["shape"]:22} {r["threads"]} threads: ours {r["ours_ms"]:8.1f} ms'
              + (f', {r["peer"]} {r["peer_ms"]:8.1f} ms, ratio {r["ratio"]:.2f}' if r["peer"] else ""), file=sys.stderr)


if __name__ == "__main__":
    main()
