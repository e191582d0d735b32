#!/bin/sh
# All that a GPU has to say about Querent, in under ten minutes and without a network: build, doctor, tests, sanitizers,
# benchmarks beside PyTorch. Each step writes its own log; one that fails or runs out of time does not stop the next.
#   sh bench/gpu_all.sh --out results            on a machine with nvcc, cuDNN (also as a Python package) and PyTorch
#   sh bench/gpu_all.sh --deps deps --out results    libraries from a folder of cmake/collect_deps.sh
set -u
usage() {
  cat <<'HELP'
usage: sh bench/gpu_all.sh [--out FOLDER] [--deps FOLDER] [--python PYTHON] [--arch 90] [--jobs N]
       [--seconds 570] [--quick] [--dry-run]
  --out FOLDER     where logs and tables go (gpu-results)
  --deps FOLDER    headers and libraries collected by cmake/collect_deps.sh, where there is no package manager
  --python PYTHON  a Python with PyTorch (python3); its packages are also searched for cuDNN
  --arch LIST      GPU architectures to compile for (90)
  --jobs N         parallel compilations (all cores)
  --seconds N      what does not fit is cut short or skipped (570)
  --quick          one model and one mode of PyTorch
  --dry-run        print the steps and their time limits, run nothing
HELP
}
out=gpu-results deps="" python=python3 arch=90 quick="" dry="" seconds=570 jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift ;;
    --deps) deps=$2; shift ;;
    --python) python=$2; shift ;;
    --arch) arch=$2; shift ;;
    --jobs) jobs=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --quick) quick=yes ;;
    --dry-run) dry=yes ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
mkdir -p "$out" 2>/dev/null
out=$(cd "$out" && pwd)
[ -z "$deps" ] || deps=$(cd "$deps" && pwd)
cd "$(dirname "$0")/.."
build=build-gpu failed=0 start=$(date +%s)

step() {  # step NAME SECONDS COMMAND...: the output goes to $out/NAME.log
  step_name=$1 limit=$2
  shift 2
  if [ -n "$dry" ]; then
    echo "$step_name (at most $limit s): $*"
    return 0
  fi
  began=$(date +%s)
  left=$((start + seconds - began))
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then
    echo "$step_name: skipped, no time left" | tee -a "$out/summary.txt"
    return 0
  fi
  if timeout "$limit" "$@" >"$out/$step_name.log" 2>&1; then result=ok; else result="FAILED ($?)" failed=$((failed + 1)); fi
  echo "$step_name: $result, $(($(date +%s) - began)) s" | tee -a "$out/summary.txt"
}
[ -n "$dry" ] || : >"$out/summary.txt"

step machine 20 sh -c "nvidia-smi; nvcc --version; $python -c 'import torch; print(torch.__version__, torch.backends.cudnn.version())'; lscpu | head -20"
step configure 60 cmake -S . -B $build -DQUERENT_CUDA=ON -DQUERENT_BENCH=ON "-DQUERENT_DEPS_DIR=$deps" \
  "-DCMAKE_CUDA_ARCHITECTURES=$arch" "-DQUERENT_PYTHON=$(command -v "$python" || echo "$python")"
step build 240 cmake --build $build -j "$jobs" --target querent querent_tests bench_models bench_ops
if [ -z "$dry" ] && [ ! -x $build/querent ]; then
  echo "the build failed: see $out/build.log" >&2
  exit 1
fi
step doctor 60 $build/querent doctor
step cuda_tests 60 $build/tests/querent_tests --test-suite=cuda_test

# The command: what a GPU trained, measured there and on the CPU.
phantom=$out/phantom trained=$out/train
step phantom 20 $build/querent data phantom --count 60 --size 64 --out "$phantom" --force
step train 40 $build/querent train --device cuda --data "$phantom/labels.csv" --size 64 --steps 100 --out "$trained" --force
for device in cuda cpu; do
  step "eval_$device" 20 $build/querent eval --device $device --data "$phantom/labels.csv" \
    --weights "$trained/weights/best.safetensors"
done

# Memory, races, uninitialised reads and barriers on the small cases of the op table.
for tool in memcheck racecheck initcheck synccheck; do
  step "$tool" 40 compute-sanitizer --tool "$tool" --error-exitcode 9 $build/tests/querent_tests --test-suite=cuda_test \
    --test-case="bad cases*,dropout*,a captured step*"
done

for type in f32 bf16; do
  step "bench_ops_$type" 40 $build/bench/bench_ops cuda $type --benchmark_format=json --benchmark_min_time=0.05
done

# Models: ours replayed as one graph, in strict f32, in TF32 and in bf16, plans tuned once and kept; PyTorch in TF32 and in
# bf16, what tells most first.
lines=$out/models.lines
[ -n "$dry" ] || : >"$lines"
models="unet:train:16:256:64 resnet18:train:64:224:64 unet:infer:16:256:64"
modes="channels_last:bf16 channels_last:tf32 reduce-overhead:bf16 eager:tf32 reduce-overhead:tf32 max-autotune:bf16
  max-autotune:tf32 compile:bf16 compile:tf32"
[ -z "$quick" ] || { models="unet:train:16:256:64"; modes="channels_last:bf16"; }
one() {  # one NAME SECONDS COMMAND...: a JSON line, which is also gathered
  step "$@"
  [ -n "$dry" ] || grep '^{' "$out/$step_name.log" >>"$lines"
}
each_model() {  # each_model COMMAND...: with $arguments of bench_models and a $label
  for model in $models; do
    arguments=$(echo "$model" | tr : ' ')
    label=$(echo "$model" | tr : '_')
    "$@"
  done
}
ours() {  # ours NAME FLAGS...
  name=$1
  shift
  one "ours_${label}_$name" 40 $build/bench/bench_models $arguments --device cuda "$@" --tune 1 \
    --plans "$out/plans.json" --warmup 10 --repeats 30
}
pytorch() {  # pytorch MODE tf32|bf16 DETERMINISTIC
  bf16=0
  [ "$2" != bf16 ] || bf16=1
  one "torch_${label}_$1_$2_deterministic_$3" 100 "$python" bench/models_torch.py $arguments \
    --device cuda --mode "$1" --tf32 1 --bf16 $bf16 --deterministic "$3" --warmup 10 --repeats 30
}
each_model ours bf16 --tf32 1 --bf16 1
each_model ours tf32 --tf32 1
each_model ours strict --tf32 0
for mode in $modes; do
  each_model pytorch "${mode%:*}" "${mode#*:}" 0
done
[ -n "$quick" ] || each_model pytorch eager tf32 1  # what determinism costs PyTorch
[ -n "$dry" ] && exit 0
"$python" bench/gpu_table.py "$lines" >"$out/models.md" 2>>"$out/summary.txt"
echo "total: $(($(date +%s) - start)) s, $failed steps failed" | tee -a "$out/summary.txt"
[ "$failed" = 0 ]
