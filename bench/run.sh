#!/usr/bin/env bash
# Measures CrowNest beside plain Docker on this machine, prints the table and writes it to bench/results/.
# Starts a stack of its own (own ports, own state folder) through ./up.sh and takes it down again.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  echo "usage: bench/run.sh [--rounds N] [--only commands|files|runs]   (30 rounds: the table's medians are over so many repetitions)" >&2
  exit 2
}
rounds=30 only=()
while (($# > 0)); do
  case $1 in
    --rounds) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage; rounds=$2; shift 2 ;;
    --only) [[ ${2:-} =~ ^(commands|files|runs)$ ]] || usage; only=(--only "$2"); shift 2 ;;
    *) usage ;;
  esac
done

state=$(mktemp -d "${TMPDIR:-/tmp}/crownest-bench.XXXXXX")
export CROWNEST_STATE_DIRECTORY=$state CROWNEST_API_PORT=18887 CROWNEST_DASHBOARD_PORT=18888 CROWNEST_WORKER_PORT=18889 \
  CROWNEST_POSTGRES_PORT=18890 CROWNEST_REDIS_PORT=18891 CROWNEST_ASPIRE_PORT=18892 CROWNEST_OTLP_PORT=18893
export CROWNEST_API_URL=http://127.0.0.1:$CROWNEST_API_PORT
CROWNEST_API_KEY=cn_live_$(head -c 64 /dev/urandom | base64 | tr -dc 'a-zA-Z0-9' | head -c 40)
export CROWNEST_API_KEY CROWNEST_BOOTSTRAP_API_KEY=$CROWNEST_API_KEY
# Room for files of 2 GB.
export Worker__WorkspaceMb=3072 Api__Artifacts__MaxBytes=2147483648

finish() {
  ./down.sh --keep-engine --delete-data > /dev/null
}
trap finish EXIT

dotnet build bench/CrowNest.Bench -c Release -v q --nologo
./up.sh --detach
pid_of() { # PROJECT FOLDER: the process of this stack
  pgrep -f "$1" | while read -r pid; do
    tr '\0' '\n' < "/proc/$pid/environ" 2> /dev/null | grep -qx "CrowNest__StateDirectory=$state/$2" && echo "$pid"
  done | tail -n 1
}
dotnet artifacts/bin/CrowNest.Bench/release/CrowNest.Bench.dll --worker-pid "$(pid_of CrowNest.Worker node)" \
  --api-pid "$(pid_of CrowNest.Api api)" --results bench/results --rounds "$rounds" ${only[@]+"${only[@]}"}
