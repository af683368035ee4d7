#!/usr/bin/env bash
# Stops the stack of this state folder and leaves nothing of it behind but its data.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/eng/lib.sh"

usage() {
  cat << 'USAGE'
usage: ./down.sh [--keep-engine] [--delete-data]

Stops the stack that ./up.sh or "dotnet run" has started on this state folder, also one that was killed half-way: its
processes, containers, mounts and network rules. The container engine is stopped too if ./up.sh has started it and
nobody else uses it. What the stack has stored stays, for the next start.

  --keep-engine  leave the container engine running
  --delete-data  also delete the state folder: database, objects, logs, secrets

The folder is .crownest in the checkout, or CROWNEST_STATE_DIRECTORY.
USAGE
}

keep_engine=false delete_data=false
while (($# > 0)); do
  case $1 in
    --keep-engine) keep_engine=true ;;
    --delete-data) delete_data=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error ./down.sh "unknown argument '$1'" ;;
  esac
  shift
done

if $delete_data && [[ $(realpath -m "$state_directory") =~ ^(/|/[^/]+|$HOME|$root)$ ]]; then
  fail "$state_directory holds more than a stack's data; it is not deleted" "delete by hand what you mean"
fi
if ! state_has "$state_directory"; then
  say "nothing to stop: there is no $state_directory"
  exit 0
fi

wait_gone() {
  local tenths
  for ((tenths = 0; tenths < $1 * 10; tenths++)); do
    "${@:2}" || return 0
    sleep 0.1
  done
  return 1
}

# The AppHost returns when Aspire's orchestrator (DCP) has stopped everything; each of its processes names the one that it
# watches on its command line.
stack_pids=$(apphost_pids)
if [[ -z $stack_pids && -r $state_directory/apphost.pid ]]; then stack_pids=$(head -n 1 "$state_directory/apphost.pid"); fi
watchers_of() {
  local pid watcher
  for pid in "$@"; do
    for watcher in $(pgrep -f -- "dcp .*--monitor $pid( |\$)" || true); do
      echo "$watcher"
      watchers_of "$watcher"
    done
  done
}
# Once, as long as the chain hangs together: it breaks from its top.
# shellcheck disable=SC2086 # one word per process
orchestrator=$(watchers_of $stack_pids)
# orchestrator_pids WORD: those whose command line holds it.
orchestrator_pids() {
  local pid
  for pid in $orchestrator; do
    if [[ $(command_line "$pid") == *dcp*$1* ]]; then echo "$pid"; fi
  done
}
stack_runs() { [[ -n $(apphost_pids)$(orchestrator_pids start-apiserver)$(orchestrator_pids run-controllers) ]]; }
stop_stack() {
  local pid
  for pid in $(apphost_pids); do as_root kill -TERM "$pid" 2> /dev/null || true; done
  if ! wait_gone 60 stack_runs; then
    echo "the stack did not stop within 60 s; killing it"
    for pid in $(apphost_pids) $(orchestrator_pids ''); do as_root kill -KILL "$pid" 2> /dev/null || true; done
    wait_gone 10 stack_runs
  fi
  # One per process and container, each of which looks for some seconds more at what has gone.
  for pid in $(orchestrator_pids monitor-); do as_root kill -KILL "$pid" 2> /dev/null || true; done
}

# Leftovers of a stack that was killed with its orchestrator. Containers of Postgres and Redis carry the folder as a label.
some_services() { [[ -n $(service_pids) ]]; }
stop_services() {
  local pid
  for pid in $(service_pids); do
    echo "$(command_line "$pid") (process $pid) was left over"
    as_root kill -TERM "$pid" 2> /dev/null || true
  done
  wait_gone 10 some_services || for pid in $(service_pids); do as_root kill -KILL "$pid" 2> /dev/null || true; done
  wait_gone 10 some_services
}
backing_containers() { engine ps --all --quiet --filter "label=crownest.state=$state_directory"; }
stop_backing() {
  local ids networks network
  mapfile -t ids < <(backing_containers)
  networks=$(engine inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "${ids[@]}")
  engine stop --time 10 "${ids[@]}"
  engine rm --force "${ids[@]}"
  # The session's own network, once for both.
  for network in $(tr ' ' '\n' <<< "$networks" | grep '^aspire-session-network-' | sort -u || true); do engine network rm "$network"; done
}

deployment=''
if state_has "$state_directory/node/deployment-id"; then deployment=$(read_state "$state_directory/node/deployment-id"); fi

containers() { [[ -z $deployment ]] || engine ps --all --quiet --filter "label=crownest.deployment=$deployment"; }
remove_containers() {
  local ids
  mapfile -t ids < <(containers)
  ((${#ids[@]} == 0)) || engine rm --force --volumes "${ids[@]}"
  # The worker's next start then closes their rows as destroyed, not as failed.
  as_root touch "$state_directory/node/cleaned-up"
}

mounts() { awk -v folder="$state_directory/" 'index($2, folder) == 1 { print $2 }' /proc/self/mounts | sort -r; }
unmount() {
  local folder
  mounts | while read -r folder; do as_root umount "$folder" || as_root umount --lazy "$folder"; done
}

# What a killed worker could not take away: rules, chains and interfaces, all of which carry the deployment's id in their name.
firewalls() { local tool; for tool in iptables ip6tables; do ! command -v "$tool" > /dev/null || echo "$tool"; done; }
rules() {
  local tool table
  [[ -n $deployment ]] || return 0
  for tool in $(firewalls); do
    for table in filter nat mangle raw; do
      as_root "$tool" -t "$table" -S 2> /dev/null | grep -iF -- "$deployment" | sed "s/^/$tool $table /" || true
    done
  done
}
interfaces() {
  [[ -n $deployment ]] || return 0
  ip -o link show 2> /dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }' | grep -iF -- "$deployment" || true
}
remove_network() {
  local all tool table rule name
  all=$(rules)
  # First the rules that lead into our chains, then what the chains hold, then the chains.
  while read -r tool table rule; do
    [[ $rule == -A* ]] || continue
    # xargs splits the rule as a shell would: a comment in it is one quoted word.
    as_root xargs "$tool" -w 10 -t "$table" <<< "-D${rule#-A}"
  done <<< "$all"
  while read -r tool table rule; do
    if [[ $rule == -N* ]]; then as_root "$tool" -w 10 -t "$table" -F "${rule#-N }"; fi
  done <<< "$all"
  while read -r tool table rule; do
    if [[ $rule == -N* ]]; then as_root "$tool" -w 10 -t "$table" -X "${rule#-N }"; fi
  done <<< "$all"
  for name in $(interfaces); do
    # One end of a pair takes the other along.
    ! ip link show "$name" > /dev/null 2>&1 || as_root ip link delete "$name"
  done
}

if stack_runs; then
  step_hint="look at $log_directory/apphost.log; ./down.sh again continues"
  step "stack stops" stop_stack
else
  note "no AppHost runs on $state_directory"
fi
step_hint="./down.sh again continues"
if some_services; then step "leftover services" stop_services; fi
if engine_answers; then
  if [[ -n $(backing_containers) ]]; then step "leftover Postgres and Redis" stop_backing; fi
  if [[ -n $(containers) ]]; then step "sandbox containers" remove_containers; fi
elif [[ -n $deployment ]]; then
  note "no container engine answers, so there are no containers to remove"
fi
if [[ -n $(mounts) ]]; then step "mounts" unmount; fi
if [[ -n $(rules)$(interfaces) ]]; then
  step "network rules and interfaces" remove_network
fi
as_root rm -f "$state_directory/up.pid" "$state_directory/apphost.pid"
if $keep_engine; then
  note "the container engine keeps running (--keep-engine)"
else
  "$root/eng/engine.sh" --stop-if-ours
fi

left=()
[[ -z $(rules) ]] || left+=("network rules with $deployment in their name")
[[ -z $(interfaces) ]] || left+=("network interfaces with $deployment in their name")
! stack_runs && ! some_services || left+=("processes")
[[ -z $(mounts) ]] || left+=("mounts below $state_directory")
if engine_answers && [[ -n $(backing_containers) ]]; then left+=("containers labelled crownest.state=$state_directory"); fi
if engine_answers && [[ -n $(containers) ]]; then left+=("containers labelled crownest.deployment=$deployment"); fi
((${#left[@]} == 0)) || fail "still there: $(IFS=,; echo "${left[*]}")" "run ./down.sh again; logs are in $log_directory"

if $delete_data; then
  as_root rm -rf --one-file-system "$state_directory"
  step_done "stopped" "nothing left, data deleted"
else
  step_done "stopped" "data stays in $state_directory"
fi
