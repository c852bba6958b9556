#!/usr/bin/env bash
# Runs mla_jax.main on every host of a TPU VM (a single host or a pod slice), with gcloud:
#
#   launch/tpu_pod.sh --name=TPU --zone=ZONE [--project=P] [--repository=URL] [--revision=REV]
#       [--folder=mla_jax] [--dry_run] -- --config=... --workdir=DIR --config.data.dir=DIR
#
# With --repository it first makes every host's checkout and its environment, with the [tpu] extra, or
# brings them to what --revision is there now. --workdir must be a folder that all hosts share; of a
# bucket, where it is mounted (gs:// is refused): on each host, before,
#
#   gcsfuse --implicit-dirs --rename-dir-limit=100000 BUCKET DIR
#
# What stands behind `--` goes to mla_jax.main as it is; --distributed is added, by which JAX finds the
# other hosts. The same command again goes on from the last checkpoint. --dry_run prints what would be
# run.
set -euo pipefail

fail() {
  echo "error: $1" >&2
  exit 2
}

name="" zone="" project="" repository="" revision=main folder=mla_jax dry_run=""
while (($#)); do
  case $1 in
    --name=*) name=${1#*=} ;;
    --zone=*) zone=${1#*=} ;;
    --project=*) project=${1#*=} ;;
    --repository=*) repository=${1#*=} ;;
    --revision=*) revision=${1#*=} ;;
    --folder=*) folder=${1#*=} ;;
    --dry_run) dry_run=1 ;;
    --help | -h)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --) shift && break ;;
    *) fail "$1: not known here: flags of mla_jax.main go behind --; see launch/tpu_pod.sh --help" ;;
  esac
  shift
done
[[ -n $name ]] || fail "--name: not given; name the TPU VM"
[[ -n $zone ]] || fail "--zone: not given; see gcloud compute tpus tpu-vm list"
(($#)) || fail "nothing behind --: give the flags of mla_jax.main"

on_all_hosts() {
  local command=(gcloud compute tpus tpu-vm ssh "$name" "--zone=$zone")
  [[ -z $project ]] || command+=("--project=$project")
  command+=(--worker=all "--command=$1")
  if [[ -n $dry_run ]]; then
    printf '%q ' "${command[@]}"
    echo
  else
    "${command[@]}"
  fi
}

quoted=$(printf '%q ' "$@")
if [[ -n $repository ]]; then
  where=$(printf %q "$folder") from=$(printf %q "$repository") what=$(printf %q "$revision")
  fetch="git remote set-url origin $from; git fetch -q --prune --tags --force origin"
  # Not the local branch of that name: a fetch does not move it.
  fetched="\$(git rev-parse -q --verify origin/$what^{commit} || echo $what)"
  environment="python3 -m venv .venv; .venv/bin/pip install -q -e '.[tpu]'"
  on_all_hosts "set -e; [ -d $where/.git ] || git clone -q $from $where; cd $where; $fetch; \
git checkout -q --detach \"$fetched\"; $environment"
fi
on_all_hosts "cd $(printf %q "$folder") && .venv/bin/python -m mla_jax.main --distributed ${quoted% }"
