#!/usr/bin/env bash
# Starts the container engine where none answers, and stops it again only when it was started here.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat << 'USAGE'
usage: eng/engine.sh [--stop-if-ours]

Without a flag: returns when a container engine answers; starts dockerd, detached, when none does.

  --stop-if-ours  stop the engine if this script has started it since the machine booted and no container runs on it
                  any more; takes its bridge and network rules along
USAGE
}

# In /run: gone after a reboot, as the engine is. Holds how it was started, and the policy of the FORWARD chain before.
record=/run/crownest-engine
engine_log=/var/log/crownest-dockerd.log

start() {
  if engine_answers; then
    step_done "container engine" "answers ($(engine version --format '{{.Server.Version}}'))"
    return
  fi
  local dockerd
  dockerd=$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v dockerd) \
    || fail "no container engine answers and dockerd is not installed" "run eng/setup.sh"
  if [[ -n ${DOCKER_HOST:-} ]]; then
    fail "no container engine answers at DOCKER_HOST=$DOCKER_HOST" "start that one, or unset DOCKER_HOST to use this machine's"
  fi
  local running
  if running=$(pgrep -x dockerd); then
    fail "dockerd runs (process ${running//$'\n'/, }) but does not answer" "see its log, or stop it and run this again"
  fi
  step_hint="see the engine's log: $engine_log; a kernel without nf_tables needs: update-alternatives --set iptables /usr/sbin/iptables-legacy"
  step "container engine" launch "$dockerd"
}

launch() {
  local forward pid
  # No answer here is dockerd's to report, not ours.
  forward=$(as_root iptables -S FORWARD 2> /dev/null | awk '$1 == "-P" { print $3 }' || true)
  if [[ -d /run/systemd/system ]] && systemctl cat docker.service > /dev/null 2>&1; then
    as_root systemctl start docker.service
    printf 'systemd 0 %s\n' "${forward:-ACCEPT}" | as_root tee "$record" > /dev/null
  else
    # A new session: Ctrl+C in this terminal must not reach the engine before the stack has cleaned up with it. The
    # lock's descriptor must not live on in it.
    # The mark of a test run (.ci/run) would make every container of the engine look like the run's.
    as_root env -u CROWNEST_TEST_RUN sh -c 'setsid nohup "$0" < /dev/null >> "$1" 2>&1 9>&- &
      printf "process %s %s\n" "$!" "$2" > "$3"' "$1" "$engine_log" "${forward:-ACCEPT}" "$record"
    pid=$(cut -d' ' -f2 "$record")
  fi
  local waited
  for ((waited = 0; waited < 120; waited++)); do
    ! engine_answers || return 0
    if [[ -n ${pid:-} && ! -d /proc/$pid ]]; then
      echo "dockerd ended:"
      as_root tail -n 12 "$engine_log"
      as_root rm -f "$record"
      return 1
    fi
    sleep 0.5
  done
  echo "dockerd does not answer after 60 s:"
  as_root tail -n 12 "$engine_log" 2> /dev/null || true
  return 1
}

stop_if_ours() {
  if [[ ! -e $record ]]; then
    note "the container engine was not started here; left running"
    return
  fi
  local how pid forward
  read -r how pid forward < "$record"
  if engine_answers; then
    local others
    others=$(engine ps -q | wc -l)
    if ((others > 0)); then
      note "the container engine stays: $others container(s) of others run on it"
      return
    fi
  fi
  step_hint="see the engine's log: $engine_log"
  step "container engine stops" stop "$how" "$pid" "$forward"
}

stop() {
  local how=$1 pid=$2 forward=$3 waited
  if [[ $how == systemd ]]; then
    as_root systemctl stop docker.socket docker.service
  elif [[ $(command_line "$pid") == *dockerd* ]]; then
    as_root kill -TERM "$pid"
    for ((waited = 0; waited < 120; waited++)); do
      [[ -d /proc/$pid ]] || break
      sleep 0.25
    done
    if [[ -d /proc/$pid ]]; then
      echo "dockerd (process $pid) did not stop within 30 s"
      return 1
    fi
  fi
  remove_network "$forward"
  as_root rm -f "$record"
}

# What dockerd leaves behind when it ends: its chains, the rules that lead into them, the address translation and the bridge.
remove_network() {
  local table rule chain
  for table in filter nat; do
    while read -r rule; do
      # shellcheck disable=SC2086 # a rule is several words
      as_root iptables -t "$table" ${rule/#-A/-D}
    done < <(as_root iptables -t "$table" -S | grep '^-A' | grep -E '(DOCKER|docker0)' | grep -v '^-A DOCKER' || true)
    for chain in $(as_root iptables -t "$table" -S | awk '$1 == "-N" && $2 ~ /^DOCKER/ { print $2 }'); do
      as_root iptables -t "$table" -F "$chain"
    done
    for chain in $(as_root iptables -t "$table" -S | awk '$1 == "-N" && $2 ~ /^DOCKER/ { print $2 }'); do
      as_root iptables -t "$table" -X "$chain"
    done
  done
  as_root iptables -P FORWARD "$forward"
  ! ip link show docker0 > /dev/null 2>&1 || as_root ip link delete docker0
}

case ${1:-} in
  '') start ;;
  --stop-if-ours) stop_if_ours ;;
  -h | --help) usage ;;
  *) usage_error eng/engine.sh "unknown argument '$1'" ;;
esac
