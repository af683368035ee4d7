#!/usr/bin/env bash
# up.sh, what it prints, and down.sh, as a user meets them: on a state folder and ports of its own, beside whatever runs.
# Prints "ok NAME" or "not ok NAME" per check and ends with "N passed, N failed".
set -euo pipefail
# Under test.sh ports and folder are given; by hand a block of ports that nobody is likely to have.
if [[ -z ${CROWNEST_API_PORT:-} ]]; then
  export CROWNEST_API_PORT=28787 CROWNEST_DASHBOARD_PORT=28788 CROWNEST_WORKER_PORT=28789 CROWNEST_POSTGRES_PORT=28790 CROWNEST_REDIS_PORT=28791 \
    CROWNEST_ASPIRE_PORT=28792 CROWNEST_OTLP_PORT=28793
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/crownest-stack.XXXXXX")
export CROWNEST_STATE_DIRECTORY=$work/state
unset CROWNEST_BOOTSTRAP_API_KEY CROWNEST_LOG_DIRECTORY
source "$(dirname "${BASH_SOURCE[0]}")/../../eng/lib.sh"

cleanup() {
  "$root/down.sh" --keep-engine > "$work/cleanup.log" 2>&1 || true
  as_root rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

passed=0 failed=0
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1 < /dev/null); then
    passed=$((passed + 1))
    printf 'ok %s\n' "$name"
  else
    failed=$((failed + 1))
    printf 'not ok %s\n%s\n' "$name" "$(tail -n 12 <<< "$output")" | sed '2,$s/^/    /'
  fi
}
has() { grep -qE -- "$1" "$2" || { cat "$2"; return 1; }; }
ends_with_code() { local wanted=$1 code=0; shift; "$@" || code=$?; ((code == wanted)) || { echo "code $code instead of $wanted"; return 1; }; }
within() { local limit=$1 began=$SECONDS; shift; "$@" || return 1; ((SECONDS - began < limit)) || { echo "took $((SECONDS - began)) s"; return 1; }; }

up() { "$root/up.sh" --detach --skip-setup > "$work/up.log" 2>&1 || { cat "$work/up.log"; return 1; }; }
down() { "$root/down.sh" --keep-engine > "$work/down.log" 2>&1 || { cat "$work/down.log"; return 1; }; }

# Nothing of this stack: no process that knows its folder, no container, mount, rule, interface, listening port.
nothing_left() {
  local left=() id='' folder port line
  [[ ! -r $state_directory/node/deployment-id ]] || id=$(< "$state_directory/node/deployment-id")
  for folder in /proc/[0-9]*; do
    [[ ${folder#/proc/} != "$$" ]] || continue
    line=$(command_line "${folder#/proc/}")
    [[ $line != *"$state_directory"* ]] || left+=("process ${line:0:100}")
  done
  if [[ -n $id ]]; then
    [[ -z $(engine ps -aq --filter "label=crownest.deployment=$id") ]] || left+=("containers")
    ! as_root iptables-save 2> /dev/null | grep -qiF "$id" || left+=("iptables rules")
    ! ip -o link | grep -qiF "$id" || left+=("interfaces")
  fi
  [[ -z $(service_pids) ]] || left+=("services $(service_pids)")
  [[ -z $(engine ps -aq --filter "label=crownest.state=$state_directory") ]] || left+=("containers of Postgres and Redis")
  ! grep -qF "$state_directory" /proc/self/mounts || left+=("mounts")
  for port in "$api_port" "$dashboard_port" "$worker_port" "$postgres_port" "$redis_port" "$aspire_port" "$otlp_port"; do
    [[ -z $(ss -Hltn "sport = :$port") ]] || left+=("port $port")
  done
  ((${#left[@]} == 0)) || { printf '%s\n' "${left[@]}"; return 1; }
}

check "an unknown flag ends with usage and code 2" ends_with_code 2 "$root/up.sh" --frobnicate
check "down.sh too" ends_with_code 2 "$root/down.sh" --frobnicate
check "down.sh without a stack has nothing to do" "$root/down.sh" --keep-engine

# A port that somebody else has.
redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$work" --save '' > "$work/occupant.log" & occupant=$!
for _ in {1..50}; do [[ -z $(ss -Hltn "sport = :$redis_port") ]] || break; sleep 0.1; done
check "a taken port ends the start" ends_with_code 1 up
check "and is named with what to do" has "port $redis_port is taken.*redis|CROWNEST_REDIS_PORT" "$work/up.log"
kill "$occupant"
wait "$occupant" 2> /dev/null || true
check "a failed start leaves nothing" nothing_left

check "up.sh --detach" up
check "it has run a first sandbox" has '✓ first sandbox' "$work/up.log"
key=$(grep -oE 'cn_live_[A-Za-z0-9]{40}' "$work/up.log" | head -n 1 || true)
link=$(grep -oE "http://127.0.0.1:$dashboard_port/[^ ]+" "$work/up.log" | head -n 1 || true)
aspire=$(grep -oE "http://127.0.0.1:$aspire_port/[^ ]+" "$work/up.log" | head -n 1 || true)
opens_aspire() { curl -sS --fail -L -c "$work/aspire-jar" --max-time 20 -o /dev/null "$aspire"; }
check "its link to Aspire's dashboard opens" opens_aspire
check "it shows an API key" test -n "$key"
check "it shows a sign-in link" test -n "$link"
no_log_has_the_key() { ! grep -rqF "${key:-none}" "$log_directory"; }
check "the key is in no log" no_log_has_the_key

# The commands as printed, pasted into a shell.
sed -n '/^Try next/,/^✓/p' "$work/up.log" | grep '^  ' > "$work/commands.sh" || true
printed_commands() {
  # As a user's shell would take them; the answers are known.
  local output
  output=$(bash -euo pipefail "$work/commands.sh") || { echo "$output"; return 1; }
  [[ $output == 42$'\n'v*$'\n'destroyed ]] || { echo "$output"; return 1; }
}
check "the printed commands work as printed" printed_commands

# The link opens a form, which redeems it: what a browser does by itself there.
redeem() {
  local forgery
  curl -sS --fail --max-time 20 -c "$work/jar" -b "$work/jar" -o "$work/page" "$link" || return 1
  forgery=$(grep -oE '__RequestVerificationToken"[^>]*value="[^"]+"' "$work/page" | sed 's/.*value="//; s/"$//' | head -n 1)
  curl -sS --max-time 20 -c "$work/jar" -b "$work/jar" -o "$work/answer" -w '%{http_code}' \
    --data-urlencode "token=${link##*token=}" --data-urlencode "__RequestVerificationToken=$forgery" "${link%%\?*}"
}
signs_in() {
  local status
  status=$(redeem)
  [[ $status == 302 ]] || { echo "status $status"; head -c 600 "$work/answer"; return 1; }
  [[ $(curl -sS --max-time 20 -b "$work/jar" -o "$work/home" -w '%{http_code}' "$dashboard_url/") == 200 ]]
}
signs_in_again() { local status; status=$(redeem); [[ $status == 410 ]] || { echo "status $status instead of 410"; return 1; }; }
check "the link signs in" signs_in
check "only once" signs_in_again
new_link() { "$root/eng/sign-in-link.sh" | grep -E "^http://127.0.0.1:$dashboard_port/"; }
check "eng/sign-in-link.sh gives another" new_link
no_secret_in_ps() { local secret p; secret=$(read_state "$secret_file"); for p in /proc/[0-9]*; do [[ $(command_line "${p#/proc/}") != *"$secret"* ]] || return 1; done; }
check "no command line holds the deployment's secret" no_secret_in_ps
check "up.sh on a running stack says so" up
check "and starts no second one" has 'already runs' "$work/up.log"

check "down.sh" down
check "nothing is left" nothing_left
# 17 to 19 s on two quiet cores; twice that is a start that waits for something. A machine that is busy with something else proves nothing.
limit=40
read -r load _ < /proc/loadavg
((${load%.*} < 2 * $(nproc))) || limit=90
check "a second start takes under $limit s" within "$limit" up
check "its key is not shown again" has 'shown at the first start' "$work/up.log"
lists() { curl -sS --fail -H "Authorization: Bearer $key" "$api_url/v1/sandboxes?include=historical" | jq -e '.data | length >= 1'; }
check "the first start's key and sandboxes are still there" lists

# A power cut, as far as processes can have one.
killed() {
  local apphost pids
  apphost=$(head -n 1 "$state_directory/apphost.pid")
  # The orchestrator and those that watch on its behalf are told the process they watch; these lead from the AppHost down.
  pids=$(pgrep -f -- "dcp .*--monitor $apphost( |\$)")
  # shellcheck disable=SC2086,SC2046 # one word per process
  as_root kill -KILL "$apphost" $pids $(for pid in $pids; do pgrep -f -- "dcp .*--monitor $pid( |\$)"; done) $(service_pids)
}
check "the stack is killed with SIGKILL, its orchestrator too" killed
check "down.sh cleans up after that" down
check "nothing is left of it" nothing_left

check "up.sh" up
check "eng/restart.sh builds and restarts one service" within 60 "$root/eng/restart.sh" api
check "its sandboxes' API is the same" lists
killed_apphost() { as_root kill -KILL "$(head -n 1 "$state_directory/apphost.pid")"; }
check "the AppHost alone is killed" killed_apphost
check "up.sh at once afterwards waits and starts" up
check "the stack answers" lists
check "down.sh" down
check "nothing is left" nothing_left

# In the foreground: Ctrl+C.
foreground() {
  local pid tenths
  # Background jobs of a script ignore SIGINT; a terminal's do not.
  env --default-signal=INT "$root/up.sh" --skip-setup > "$work/foreground.log" 2>&1 & pid=$!
  for ((tenths = 0; tenths < 900; tenths++)); do
    ! grep -q 'Ctrl+C stops it' "$work/foreground.log" || break
    kill -0 "$pid" || { cat "$work/foreground.log"; return 1; }
    sleep 0.1
  done
  kill -INT "$pid"
  wait "$pid" || true
  has '✓ stopped' "$work/foreground.log"
}
check "Ctrl+C stops a stack in the foreground" foreground
check "and leaves nothing" nothing_left

echo "$passed passed, $failed failed"
((failed == 0))
