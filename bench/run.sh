#!/bin/sh
# Measures ops and models and writes build/bench/ops.json, build/bench/models.json (medians) and docs/performance.md.
#   TORCH_PYTHON=/path/to/python ./run bench     also measures PyTorch, in turns with ours, with the same threads
#   ROUNDS=5 THREADS="1 2" ./run bench           rounds of each measurement, numbers of threads
#   ROWS=file ./run bench                        other rows: model phase batch size width repeats
#   PEER_MODES="eager channels_last" ./run bench   modes of PyTorch to try (compile takes minutes to warm up)
set -eu
cd "$(dirname "$0")/.."
python=${TORCH_PYTHON:-python3}
rounds=${ROUNDS:-5}
thread_counts=${THREADS:-"1 2"}
out=build/bench
lines=$out/models.lines
: >"$lines"

# The modes of PyTorch that work here: a small trial each. The fastest one of a row is the peer, and the row says which.
peer_modes=""
if "$python" -c 'import torch' 2>/dev/null; then
  for mode in ${PEER_MODES:-eager channels_last compile}; do
    if "$python" bench/models_torch.py unet train 2 32 2 --threads 1 --repeats 1 --mode "$mode" >/dev/null 2>&1; then
      peer_modes="$peer_modes $mode"
    else
      echo "PyTorch's mode $mode does not work here: left out"
    fi
  done
else
  echo "no PyTorch found (set TORCH_PYTHON): measuring ours alone"
fi

# model phase batch size width repeats
rows() {
  if [ -n "${ROWS:-}" ]; then
    cat "$ROWS"
  else
    cat <<'ROWS'
unet train 8 128 16 5
unet infer 8 128 16 5
unet mc 8 128 16 1
unet train 1 256 64 3
unet infer 1 256 64 5
resnet18 train 8 128 64 5
resnet18 infer 8 128 64 5
resnet18 mc 8 128 64 1
vgg16 train 4 128 64 3
vgg16 infer 8 128 64 3
vgg16 mc 8 128 64 1
pix2pix train 1 256 64 3
ROWS
  fi
}

rows | while read -r model phase batch size width repeats; do
  for threads in $thread_counts; do
    echo "$model $phase batch $batch, $size px, width $width, $threads threads"
    for round in $(seq "$rounds"); do
      $out/bench_models "$model" "$phase" "$batch" "$size" "$width" --threads "$threads" --repeats "$repeats" >>"$lines" </dev/null
      for mode in $peer_modes; do
        ways=0  # passes of MC-dropout in one batch, 0: the plain loop
        case "$phase-$mode" in mc-eager | mc-channels_last) ways="0 1 ${TOGETHER:-5}" ;; esac
        for together in $ways; do
          "$python" bench/models_torch.py "$model" "$phase" "$batch" "$size" "$width" --threads "$threads" \
            --repeats "$repeats" --mode "$mode" --together "$together" >>"$lines" </dev/null ||
            echo "PyTorch $mode failed on $model $phase"
        done
      done
    done
  done
done
$out/bench_ops --benchmark_format=json --benchmark_min_time="${OPS_SECONDS:-0.2}" >$out/ops.json
python3 bench/summarize.py "$lines" $out/models.json "${REPORT:-docs/performance.md}"
echo "wrote $out/models.json, $out/ops.json and ${REPORT:-docs/performance.md}"
