#!/usr/bin/env bash
# Builds one service and starts it again in the running stack.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { echo "usage: eng/restart.sh api|worker|dashboard    builds this service and restarts it in the running stack"; }
case ${1:-} in
  api) project=CrowNest.Api url=$api_url ;;
  worker) project=CrowNest.Worker url=$worker_url ;;
  dashboard) project=CrowNest.Dashboard url=$dashboard_url ;;
  -h | --help) usage; exit 0 ;;
  *) usage_error eng/restart.sh "there is no service '${1:-}'" ;;
esac
[[ -n $(apphost_pids) ]] || fail "no stack runs on $state_directory" "start it with ./up.sh"

pid_of_service() {
  local pid program
  for pid in $(service_pids); do
    # The build has replaced the file that the process runs.
    program=$(readlink "/proc/$pid/exe")
    if [[ ${program% (deleted)} == */$project ]]; then echo "$pid"; fi
  done
}

build() {
  local code=0 compiler=crownest-$$
  dotnet build "$root/$project" --configuration Release --nologo -nodeReuse:false -p:UseSharedCompilation=true \
    -p:SharedCompilationId="$compiler" -p:UseRazorBuildServer=false -clp:NoSummary -v:minimal || code=$?
  pkill -f -- "-pipename:$compiler" || true
  return "$code"
}

# The AppHost starts again what ends; a service that is told to end has its usual time for it.
restart() {
  local old deadline=$((SECONDS + 60))
  old=$(pid_of_service)
  [[ -z $old ]] || as_root kill -TERM "$old"
  until [[ -n $(pid_of_service) && $(pid_of_service) != "$old" ]] \
    && curl --silent --fail --output /dev/null --noproxy '*' --max-time 2 "$url/healthz"; do
    ((SECONDS < deadline)) || { echo "$url/healthz does not answer"; return 1; }
    sleep 0.2
  done
}

step_hint="the compiler's messages are above and in the log"
step "$project (dotnet build)" build
step_hint="what it said: $log_directory/$1.log"
step "$1 restarts" restart
