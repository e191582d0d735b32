#!/bin/sh
# Measures ops and models and writes build/bench/ops.json, build/bench/models.json (medians) and docs/performance.md.
#   TORCH_PYTHON=/path/to/python ./run bench     also measures PyTorch, in turns with ours, with the same threads
#   ROUNDS=5 THREADS="1 2" ./run bench           rounds of each measurement, numbers of threads
#   ROWS=file ./run bench                        other rows: model phase batch size width repeats
#   PEER_MODES="eager channels_last" ./run bench   modes of PyTorch to try (compile takes minutes to warm up);
#                                 a mode with +jemalloc runs under that allocator (Debian: libjemalloc2), if it is there
set -eu
cd "$(dirname "$0")/.."
python=${TORCH_PYTHON:-python3}
rounds=${ROUNDS:-5}
thread_counts=${THREADS:-"1 2"}
out=build/bench
lines=$out/models.lines
: >"$lines"

# PyTorch in a mode, e.g. channels_last or channels_last+jemalloc: with an allocator that keeps its memory, in huge pages.
torch() {
  mode=$1
  shift
  case $mode in
    *+jemalloc)
      LD_PRELOAD=$jemalloc MALLOC_CONF=thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1 \
        "$python" bench/models_torch.py "$@" --mode "${mode%+jemalloc}"
      ;;
    *) "$python" bench/models_torch.py "$@" --mode "$mode" ;;
  esac
}

# The modes that work here, by a small trial each.
jemalloc=$(ls /usr/lib/*/libjemalloc.so.2 2>/dev/null | head -n 1 || true)
peer_modes=""
if "$python" -c 'import torch' 2>/dev/null; then
  for mode in ${PEER_MODES:-channels_last eager+jemalloc channels_last+jemalloc compile+jemalloc}; do
    [ -n "$jemalloc" ] || mode=${mode%+jemalloc}
    if torch "$mode" unet train 2 32 2 --threads 1 --repeats 1 >/dev/null 2>&1; then
      case " $peer_modes " in *" $mode "*) ;; *) peer_modes="$peer_modes $mode" ;; esac
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
unet train 4 128 64 3
unet infer 4 128 64 5
unet train 1 512 64 2
unet infer 1 512 64 3
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

# The first round of a row tries every mode; the fastest, and of MC-dropout the fastest of each way to run its passes,
# goes on against ours in the other rounds.
rows | while read -r model phase batch size width repeats; do
  for threads in $thread_counts; do
    echo "$model $phase batch $batch, $size px, width $width, $threads threads"
    trial=""
    for mode in $peer_modes; do
      ways=0  # passes of MC-dropout in one batch, 0: the plain loop
      case "$phase-$mode" in mc-compile*) ;; mc-*) ways="0 1 ${TOGETHER:-5}" ;; esac
      for together in $ways; do trial="$trial $mode/$together"; done
    done
    : >"$lines.row"
    for round in $(seq "$rounds"); do
      $out/bench_models "$model" "$phase" "$batch" "$size" "$width" --threads "$threads" --repeats "$repeats" >>"$lines.row" </dev/null
      for peer in $trial; do
        torch "${peer%/*}" "$model" "$phase" "$batch" "$size" "$width" --threads "$threads" --repeats "$repeats" \
          --together "${peer#*/}" >>"$lines.row" </dev/null || echo "PyTorch ${peer%/*} failed on $model $phase"
      done
      [ "$round" != 1 ] || trial=$(python3 bench/summarize.py fastest "$lines.row")
    done
    cat "$lines.row" >>"$lines"
  done
done
rm -f "$lines.row"
$out/bench_ops --benchmark_format=json --benchmark_min_time="${OPS_SECONDS:-0.2}" >$out/ops.json
python3 bench/summarize.py "$lines" $out/models.json "${REPORT:-docs/performance.md}"
echo "wrote $out/models.json, $out/ops.json and ${REPORT:-docs/performance.md}"
