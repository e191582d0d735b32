#!/bin/sh
# Measures ops and models and writes build/bench/ops.json and build/bench/models.json (medians).
#   TORCH_PYTHON=/path/to/python ./run bench     also measures PyTorch, in turns with ours, with the same threads
#   ROUNDS=5 THREADS="1 2" ./run bench           rounds of each measurement, numbers of threads
set -eu
cd "$(dirname "$0")/.."
python=${TORCH_PYTHON:-python3}
rounds=${ROUNDS:-5}
thread_counts=${THREADS:-"1 2"}
out=build/bench
lines=$out/models.lines
: >"$lines"
peer_modes=""
"$python" -c 'import torch' 2>/dev/null && peer_modes="eager channels_last"
[ -n "$peer_modes" ] || echo "no PyTorch found (set TORCH_PYTHON): measuring ours alone"

# model phase batch size width repeats
while read -r model phase batch size width repeats; do
  for threads in $thread_counts; do
    echo "$model $phase batch $batch, $size px, width $width, $threads threads"
    for round in $(seq "$rounds"); do
      $out/bench_models "$model" "$phase" "$batch" "$size" "$width" --threads "$threads" --repeats "$repeats" >>"$lines"
      for mode in $peer_modes; do
        "$python" bench/models_torch.py "$model" "$phase" "$batch" "$size" "$width" --threads "$threads" \
          --repeats "$repeats" --mode "$mode" >>"$lines"
      done
    done
  done
done <<'ROWS'
unet train 8 128 16 5
unet infer 8 128 16 5
unet mc 8 128 16 1
resnet18 train 8 128 64 5
resnet18 infer 8 128 64 5
resnet18 mc 8 128 64 1
ROWS
python3 bench/summarize.py "$lines" >$out/models.json
$out/bench_ops --benchmark_format=json --benchmark_min_time=0.2 >$out/ops.json
echo "wrote $out/models.json and $out/ops.json"
