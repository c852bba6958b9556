#!/usr/bin/env bash
# Runs mla_jax.main on this machine, on N devices or as N processes of one job:
#
#   launch/local.sh [--devices=N] [--platform=cpu|gpu|tpu] [--dry_run] -- --config=... --workdir=...
#   launch/local.sh -n N [--devices=M] [--dry_run] -- --config=... --workdir=...
#
# On cpu (the default) the N devices are virtual ones that share the cores: the same program as on
# N real ones, for trying a sharding out. On gpu they are the first N, without --devices all; on tpu
# always all. With -n, N real processes with M virtual devices each (1 without --devices) find each
# other over localhost, as hosts of a pod do; the first that fails ends the others, and its exit code
# is the script's. SIGTERM and Ctrl-C reach all. Whoever is told to end has STOP_SECONDS (300) to save
# a checkpoint, and is then killed. PORT chooses the port of process 0 (a free one).
# What stands behind `--` goes to mla_jax.main as it is. PYTHON chooses the interpreter;
# without it, this checkout's .venv if it is there. --dry_run prints the command.
set -euo pipefail

fail() {
  echo "error: $1" >&2
  exit 2
}

devices="" platform=cpu dry_run="" processes=""
while (($#)); do
  case $1 in
    --devices=*) devices=${1#*=} ;;
    --platform=*) platform=${1#*=} ;;
    --dry_run) dry_run=1 ;;
    -n) processes=${2-} && shift ;;
    --help | -h)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --) shift && break ;;
    *) fail "$1: not known here: flags of mla_jax.main go behind --; see launch/local.sh --help" ;;
  esac
  shift
done
[[ $devices =~ ^([1-9][0-9]*)?$ ]] || fail "--devices=$devices: give a whole number above 0"
[[ $processes =~ ^([1-9][0-9]*)?$ ]] || fail "-n $processes: give a whole number above 0"
stop_seconds=${STOP_SECONDS:-300}
[[ $stop_seconds =~ ^[1-9][0-9]*$ ]] || fail "STOP_SECONDS=$stop_seconds: give a whole number above 0"
[[ -z $processes || $platform == cpu ]] || fail "-n: several processes are for --platform=cpu"

environment=()
case $platform in
  cpu)
    # Devices that share cores wait long for each other; by default XLA gives up after 40 s.
    flags="--xla_force_host_platform_device_count=${devices:-1}"
    flags+=" --xla_cpu_collective_call_terminate_timeout_seconds=1200"
    environment+=("JAX_PLATFORMS=cpu" "XLA_FLAGS=${XLA_FLAGS:+$XLA_FLAGS }$flags")
    ;;
  gpu)
    environment+=("JAX_PLATFORMS=cuda")
    if [[ -n $devices ]]; then
      visible=${CUDA_VISIBLE_DEVICES:-$(seq -s, 0 $((devices - 1)))}  # A scheduler may have chosen.
      environment+=("CUDA_VISIBLE_DEVICES=$(cut -d, -f"1-$devices" <<<"$visible")")
    fi
    ;;
  tpu)
    environment+=("JAX_PLATFORMS=tpu")
    [[ -z $devices ]] || fail "--devices=$devices: a TPU machine uses all its chips: leave it out"
    ;;
  *) fail "--platform=$platform: give cpu, gpu or tpu" ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
[[ -n ${PYTHON:-} || ! -x $root/.venv/bin/python ]] || python=$root/.venv/bin/python
# The code of this checkout, from whatever folder it is started, even one with a mla_jax of its own.
environment+=("PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}" "PYTHONSAFEPATH=1")
command=(env "${environment[@]}" "$python" -m mla_jax.main "$@")

if [[ -z $processes ]]; then
  if [[ -n $dry_run ]]; then
    printf '%q ' "${command[@]}"
    echo
    exit
  fi
  exec "${command[@]}"
fi

find_port='import socket; s = socket.socket(); s.bind(("localhost", 0)); print(s.getsockname()[1])'
port=${PORT:-}
if [[ -z $port ]]; then
  port=$([[ -z $dry_run ]] || echo PORT)
  port=${port:-$("$python" -c "$find_port")}
fi
job=("--coordinator=localhost:$port" "--num_processes=$processes")
children=()
for ((i = 0; i < processes; i++)); do
  if [[ -n $dry_run ]]; then
    printf '%q ' "${command[@]}" "${job[@]}" "--process_id=$i"
    echo
  elif ((i == 0)); then
    "${command[@]}" "${job[@]}" --process_id=0 &
    children+=($!)
  else
    "${command[@]}" "${job[@]}" "--process_id=$i" >/dev/null &  # The first alone prints the result.
    children+=($!)
  fi
done
[[ -z $dry_run ]] || exit 0
running=("${children[@]}") status=0 deadline=""
stop_all() {
  kill -TERM "${running[@]}" 2>/dev/null || true
  deadline=${deadline:-$((SECONDS + stop_seconds))}
}
trap stop_all TERM INT
# Not `wait -n`: it does not tell of a process that ended before it was called.
while ((${#running[@]})); do
  sleep 0.2 || true  # Ctrl-C ends it too.
  left=()
  for child in "${running[@]}"; do
    if kill -0 "$child" 2>/dev/null; then
      left+=("$child")
      continue
    fi
    code=0
    wait "$child" || code=$?
    ((!code || status)) || { status=$code && stop_all; }
  done
  running=("${left[@]}")
  if [[ -n $deadline ]] && ((SECONDS > deadline && ${#running[@]})); then
    echo "error: killed what had not ended $stop_seconds s after SIGTERM (STOP_SECONDS)" >&2
    kill -KILL "${running[@]}" 2>/dev/null || true
    deadline=""
  fi
done
exit "$status"
