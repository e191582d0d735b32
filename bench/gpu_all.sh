#!/bin/sh
# All that a GPU has to say about Querent, without a network: build, doctor, tests, sanitizers, benchmarks beside PyTorch.
# Each step writes its own log; one that fails or runs out of time does not stop the next. A call takes under ten minutes;
# another with the same --out goes on where the first ended, so that two or three do it all.
#   sh bench/gpu_all.sh --out results                on a machine with nvcc, cuDNN (also as a Python package) and PyTorch
#   sh bench/gpu_all.sh --deps deps --out results    libraries from a folder of cmake/collect_deps.sh
#   sh bench/gpu_all.sh --try build --out trial      no GPU: the emulator's module of a build, tiny sizes, no sanitizers
set -u
usage() {
  cat <<'HELP'
usage: sh bench/gpu_all.sh [--out FOLDER] [--deps FOLDER] [--python PYTHON] [--arch 90] [--jobs N] [--seconds 570]
       [--only PATTERN] [--modes MODES] [--retry] [--try BUILD] [--dry-run]
  --out FOLDER     where logs and tables go (gpu-results); steps that are ok there are not done again, but the build
  --deps FOLDER    headers and libraries collected by cmake/collect_deps.sh, where there is no package manager
  --python PYTHON  a Python with PyTorch (python3); its packages are also searched for cuDNN
  --arch LIST      GPU architectures to compile for (90)
  --jobs N         parallel compilations (all cores)
  --seconds N      what does not fit is cut short or left for the next call (570)
  --only PATTERN   of the steps after the build only those whose name matches, e.g. 'ours_unet_*'
  --modes MODES    of PyTorch: some of channels_last, reduce-overhead, compile, max-autotune, eager (all)
  --retry          do benchmarks again that failed in an earlier call; all other steps are
  --try BUILD      try this script without a GPU: see above
  --dry-run        print the steps and their time limits, run nothing
HELP
}
out=gpu-results deps="" python=python3 arch=90 dry="" seconds=570 jobs=$(nproc) only="*" retry="" trial=""
modes="channels_last reduce-overhead compile max-autotune eager"
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift ;;
    --deps) deps=$2; shift ;;
    --python) python=$2; shift ;;
    --arch) arch=$2; shift ;;
    --jobs) jobs=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --only) only=$2; shift ;;
    --modes) modes=$2; shift ;;
    --retry) retry=yes ;;
    --try) trial=$2; shift ;;
    --dry-run) dry=yes ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$dry" ]; then
  mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
fi
[ -z "$deps" ] || deps=$(cd "$deps" && pwd) || exit 2
cd "$(dirname "$0")/.."
build=build-gpu failed=0 start=$(date +%s) summary=$out/summary.txt

# What is timed: model:phase:size:width:batch that tells most. The other batches come later.
models="unet:train:256:64:32 resnet18:train:224:64:32 unet:train:512:64:8 vgg16:train:224:64:32 pix2pix:train:256:64:1
  unet:mc:256:64:8"
batches="1 8 32 128" peaks=8192 images="60 64" training="--steps 100" warmup=50 repeats=200 torch_device=cuda torch_flags="" most=3
if [ -n "$trial" ]; then
  build=$trial torch_device=cpu torch_flags="--threads 1"
  LD_LIBRARY_PATH=$(cd "$trial/tests/emulated" && pwd) && export LD_LIBRARY_PATH || exit 2
  models="unet:train:32:2:2 resnet18:train:64:2:2 pix2pix:train:64:1:1 unet:mc:32:2:1"
  batches="1 2" peaks=64 images="10 32" training="--steps 2 --batch 2 --width 2 --depth 2" warmup=2 repeats=3 most=1
fi

# step NAME SECONDS COMMAND...: the output goes to $out/NAME.log, the result to the summary.
step() {
  step_name=$1 limit=$2
  shift 2
  case $step_name in $only) ;; *) return 0 ;; esac
  if [ -n "$dry" ]; then
    echo "$step_name (at most $limit s): $*"
    return 0
  fi
  ! grep -q "^$step_name: ok" "$summary" || return 0
  began=$(date +%s) wanted=$limit
  left=$((start + seconds - began))
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ] || [ $((4 * limit)) -lt "$wanted" ]; then
    echo "$step_name: left for another call" >>"$summary"
    return 0
  fi
  timeout -k 5 "$limit" "$@" >"$out/$step_name.log" 2>&1
  code=$?
  case $code in
    0) result=ok ;;
    124 | 137) [ "$limit" = "$wanted" ] && result="FAILED (no end after $limit s)" || result="cut short by the end of the call" ;;
    *) result="FAILED ($code)" ;;
  esac
  case $result in FAILED*) failed=$((failed + 1)) ;; esac
  echo "$step_name: $result, $(($(date +%s) - began)) s" | tee -a "$summary"
}
# A measurement: one that failed in an earlier call would fail again.
row() {
  if [ -z "$dry$retry" ] && [ -f "$summary.before" ] && grep "^$1: FAILED" "$summary.before" >>"$summary"; then return 0; fi
  step "$@"
}
if [ -z "$dry" ]; then
  touch "$summary"
  mv "$summary" "$summary.before"
  grep ': ok' "$summary.before" | grep -v '^configure:\|^build:' >"$summary"  # the build follows its sources
fi

if [ -z "$trial" ]; then
  wanted_steps=$only only="*"
  step machine 20 sh -c "nvidia-smi; nvcc --version; $python -c 'import torch; print(torch.__version__, torch.backends.cudnn.version())'; lscpu | head -20"
  step configure 60 cmake -S . -B $build -DQUERENT_CUDA=ON -DQUERENT_BENCH=ON "-DQUERENT_DEPS_DIR=$deps" \
    "-DCMAKE_CUDA_ARCHITECTURES=$arch" "-DQUERENT_PYTHON=$(command -v "$python" || echo "$python")"
  step build 240 cmake --build $build -j "$jobs" --target querent querent_cuda_test bench_models bench_ops
  only=$wanted_steps
fi
if [ -z "$dry" ] && [ ! -x $build/querent ]; then
  echo "the build failed: see $out/build.log" >&2
  exit 1
fi
step doctor 60 $build/querent doctor

# The op table in f32 and bf16, its gradients, 20 runs with the same bits, captured steps, PyTorch's fixtures of all
# networks, the loop of active learning. A case of each step, so that one that fails does not hide the others.
tests=$build/tests/querent_cuda_test QUERENT_NEEDS_GPU=1
export QUERENT_NEEDS_GPU
test_case() { step "test_$1" "$2" "$tests" --test-case="$3"; }
test_case kernels 60 "every kernel*,bad cases*,dropout*"
test_case gradients 40 "gradients*"
test_case repeats 60 "20 runs*"
test_case programs 40 "a captured step*,a training*,every GPU*"
[ -n "$trial" ] || test_case norms 60 "tuned batch norms*"  # too much for the emulator
test_case golden 120 "the golden*"
test_case active_learning 90 "active learning*"

# The command: what a GPU trained, measured there and on the CPU.
phantom=$out/phantom trained=$out/train
step phantom 20 $build/querent data phantom --count ${images% *} --size ${images#* } --out "$phantom" --force
step train 40 $build/querent train --device cuda --data "$phantom/labels.csv" --size ${images#* } $training --out "$trained" --force
for device in cuda cpu; do
  [ -n "$dry" ] || [ -f "$trained/weights/best.safetensors" ] || continue
  step "eval_$device" 20 $build/querent eval --device $device --data "$phantom/labels.csv" \
    --weights "$trained/weights/best.safetensors"
done

# The measured roofline, and ours: replayed as one graph, plans tuned once and kept.
arithmetic() {  # arithmetic strict|tf32|bf16: flags of either program
  case $1 in strict) echo "--tf32 0" ;; tf32) echo "--tf32 1" ;; bf16) echo "--tf32 1 --bf16 1" ;; esac
}
for type in bf16 tf32 strict; do
  step "peaks_$type" 30 $build/bench/bench_models peaks $peaks --device cuda $(arithmetic $type)
done
each_model() {  # each_model first|others COMMAND...: with $arguments of a program, a $label and how many batches
  which=$1
  shift
  for model in $models; do
    IFS=: read -r name phase size width first <<END
$model
END
    list=$first
    if [ "$which" = others ]; then
      list=""
      for batch in $batches; do [ "$batch" = "$first" ] || list=${list:+$list,}$batch; done
    fi
    arguments="$name $phase $list $size $width" label=${name}_${phase}_${size}_b$(echo "$list" | tr , -)
    count=$(echo "$list" | tr , ' ' | wc -w)
    "$@"
  done
}
ours() {  # ours TYPE
  row "ours_${label}_$1" $((30 + 30 * count)) $build/bench/bench_models $arguments --device cuda $(arithmetic "$1") --tune 1 \
    --plans "$out/plans.json" --costs 1 --warmup $warmup --repeats $repeats --seconds $most
}
pytorch() {  # pytorch MODE TYPE DETERMINISTIC
  case $1 in compile | reduce-overhead) limit=$((30 + 60 * count)) ;; max-autotune) limit=$((30 + 150 * count)) ;; *) limit=$((30 + 15 * count)) ;; esac
  row "torch_${label}_$1_$2$([ "$3" = 0 ] || echo _deterministic)" $limit "$python" bench/models_torch.py $arguments \
    --device $torch_device --mode "$1" $(arithmetic "$2") --deterministic "$3" --warmup $warmup --repeats $repeats --seconds $most $torch_flags
}
each_model first ours bf16

# Memory, races, uninitialised reads and barriers: every kernel on one small and one large case, in f32 and in bf16, about
# 200 calls. memcheck looks at those of the libraries too, which would show a wrong shape that we gave them.
for tool in memcheck racecheck initcheck synccheck; do
  mine="--kernel-regex kns=querent"
  [ $tool != memcheck ] || mine=""
  sanitizer="compute-sanitizer --tool $tool --error-exitcode 9 $mine"
  [ -z "$trial" ] || sanitizer=""
  step "$tool" 60 $sanitizer "$tests" --test-case="each kernel once*"
done

# Beside PyTorch, what tells most first.
beside() {  # beside first|others MODE [TYPE [DETERMINISTIC]]: where the mode is wanted
  case " $modes " in *" $2 "*) each_model "$1" pytorch "$2" "${3:-bf16}" "${4:-0}" ;; esac
}
beside first channels_last
each_model others ours bf16
beside first reduce-overhead
beside others channels_last
beside first compile
for type in f32 bf16; do
  step "bench_ops_$type" 40 $build/bench/bench_ops cuda $type --benchmark_format=json --benchmark_min_time=0.05
done
beside first max-autotune
for type in tf32 strict; do each_model first ours $type; done
beside first channels_last tf32
beside first eager
for mode in reduce-overhead compile max-autotune eager; do beside others $mode; done
beside first channels_last bf16 1  # what determinism costs PyTorch
[ -n "$dry" ] && exit 0
"$python" bench/gpu_table.py "$out" >"$out/models.md" 2>>"$summary"
echo "total: $(($(date +%s) - start)) s, $failed steps failed, $(grep -c 'left for another call\|cut short' "$summary") to do in another call" | tee -a "$summary"
rm -f "$summary.before"
[ "$failed" = 0 ]
