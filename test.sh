#!/usr/bin/env bash
# Sets the machine up as ./up.sh does and runs all tests. Needs no running stack and disturbs none.
set -euo pipefail

usage() {
  cat << 'USAGE'
usage: ./test.sh [--fast] [--project NAME]... [--filter EXPRESSION] [--no-s3] [--skip-setup] [--keep]

Runs every test project and the checks of the template images, two at a time, then those that want the machine to
themselves: end to end, up.sh and down.sh. The last line is "N passed, N failed"; the exit code is 0 when nothing
failed and something passed.

  --fast               only tests without containers and browsers: no end to end, no S3 server, no templates, no stack
  --project NAME       only this test project: CrowNest.Api.Tests, Api.Tests or api; also "templates" and "stack"
  --filter EXPRESSION  only these tests, in the words of "dotnet test --filter"; leaves out templates and stack
  --no-s3              without the S3 server that eng/s3.sh starts: object storage is tested on folders only
  --skip-setup         do not look for missing packages
  --keep               keep the run's folder, with everything temporary in it

Results and logs are in artifacts/test-results. Ports and state folder are the run's own.
USAGE
}

projects=() filter='' setup=true keep=false s3=true fast=false
while (($# > 0)); do
  case $1 in
    --project | --filter)
      (($# > 1)) || { usage >&2; exit 2; }
      if [[ $1 == --project ]]; then projects+=("$2"); else filter=$2; fi
      shift
      ;;
    --fast) fast=true s3=false ;;
    --no-s3) s3=false ;;
    --skip-setup) setup=false ;;
    --keep) keep=true ;;
    -h | --help) usage; exit 0 ;;
    *) printf './test.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

# Everything temporary of the run lies in one folder, the tests' own included: what a crashed test has left behind is found by it.
# Short, because paths of unix sockets below it must fit into 107 bytes; open, because Postgres runs as another user.
work=$(mktemp -d /tmp/cnt.XXXXXX)
chmod 755 "$work"
export TMPDIR=$work
state=$work/state
# Every process of the run carries the mark in its environment, and so do those that they start, daemons included.
export CROWNEST_TEST_RUN=${work#/tmp/}
# A block of free ports below those that the kernel hands out by itself.
port_base() {
  local base offset
  while :; do
    base=$((20000 + RANDOM % 1000 * 10))
    for offset in 0 1 2 3 4 5 6; do
      ! (: < "/dev/tcp/127.0.0.1/$((base + offset))") 2> /dev/null || continue 2
    done
    echo "$base"
    return
  done
}
base=$(port_base)
export CROWNEST_STATE_DIRECTORY=$state CROWNEST_API_PORT=$base CROWNEST_DASHBOARD_PORT=$((base + 1)) \
  CROWNEST_WORKER_PORT=$((base + 2)) CROWNEST_POSTGRES_PORT=$((base + 3)) CROWNEST_REDIS_PORT=$((base + 4)) \
  CROWNEST_ASPIRE_PORT=$((base + 5)) CROWNEST_OTLP_PORT=$((base + 6))
# Nothing of a developer's own stack.
unset CROWNEST_BOOTSTRAP_API_KEY CROWNEST_API_KEY CROWNEST_BEARER_TOKEN CROWNEST_API_URL OTEL_EXPORTER_OTLP_ENDPOINT
unset CROWNEST_TEST_S3_ENDPOINT CROWNEST_TEST_S3_BUCKET CROWNEST_TEST_S3_ACCESS_KEY CROWNEST_TEST_S3_SECRET_KEY
source "$(dirname "${BASH_SOURCE[0]}")/eng/lib.sh"
results=$root/artifacts/test-results
log_directory=$results
rm -rf "$results"
mkdir -p "$results"

marked_processes() {
  local folder
  # Not this script nor its subshells: the mark came after they had their environment.
  for folder in /proc/[0-9]*; do
    if as_root grep -qzsx "CROWNEST_TEST_RUN=$CROWNEST_TEST_RUN" "$folder/environ" 2> /dev/null; then echo "${folder#/proc/}"; fi
  done
}

# Tests clean up after themselves; this is for those that crashed or were interrupted.
clean_up() {
  local pids file
  [[ ! -s $work/s3/pid ]] || "$root/eng/s3.sh" stop "$work/s3" || true
  pids=$(marked_processes)
  if [[ -n $pids ]]; then
    # Gently, and a moment later for good.
    # shellcheck disable=SC2086 # one word per process
    as_root kill -TERM $pids 2> /dev/null || true
    for _ in {1..50}; do
      pids=$(marked_processes)
      [[ -n $pids ]] || break
      sleep 0.1
    done
    # shellcheck disable=SC2086
    [[ -z $pids ]] || as_root kill -KILL $pids 2> /dev/null || true
  fi
  # A node's folder names its deployment: its containers, network rules and interfaces go as down.sh takes them away.
  while read -r file; do
    mkdir -p "$work/left"
    ln -sfn "$(dirname "$file")" "$work/left/node"
    CROWNEST_STATE_DIRECTORY=$work/left "$root/down.sh" --keep-engine || true
  done < <(as_root find "$work" -xdev -name deployment-id -not -path "$work/left/*")
}

# Runs under way: process id of the subshell, and what it runs.
declare -A under_way=()
on_exit() {
  local code=$?
  trap - EXIT
  # Not TERM: children would inherit that they ignore it.
  trap '' INT HUP
  trap : TERM
  # They would report as failed what is ended now.
  ((${#under_way[@]} == 0)) || kill -KILL "${!under_way[@]}" 2> /dev/null || true
  clean_up > "$results/clean-up.log" 2>&1 || true
  $keep || as_root rm -rf --one-file-system "$work" "/dev/shm/$CROWNEST_TEST_RUN"-*
  exit "$code"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# wanted NAME: whether --project asks for it, in full, without "CrowNest." and ".Tests", in any case.
wanted() {
  local one=${1,,} asked
  ((${#projects[@]} > 0)) || return 0
  for asked in "${projects[@]}"; do
    asked=${asked,,}
    [[ $one != "$asked" && $one != "crownest.$asked" && $one != "crownest.$asked.tests" ]] || return 0
  done
  return 1
}

# Those that take longest first, so that none is left alone at the end.
mapfile -t all < <(for project in "$root"/tests/*.{Tests,EndToEnd}/*.csproj; do basename -s .csproj "$project"; done \
  | awk '{ print ($0 ~ /Worker/ ? 1 : $0 ~ /Api/ ? 2 : $0 ~ /Dashboard|Agent/ ? 3 : 4), $0 }' | sort | cut -d' ' -f2)
uses_s3() { grep -rqwF --include='*.cs' -e S3Server -e S3Fact "$root/tests/$1"; }

began=$SECONDS
if $setup; then CROWNEST_LOG_DIRECTORY=$results "$root/eng/setup.sh" --tests; fi
export CROWNEST_LOG_DIRECTORY=$results
$fast || "$root/eng/engine.sh"
s3_start=''
# On continuous integration a test asks for the server; it must know when leaving it out is wanted.
$s3 || export CROWNEST_TEST_S3=off
if $s3; then
  for name in "${all[@]}"; do
    if wanted "$name" && uses_s3 "$name"; then
      # Beside everything that is built: it takes a minute or two on a fresh checkout, seconds later on.
      "$root/eng/s3.sh" start "$work/s3" > "$results/s3.log" 2>&1 < /dev/null & s3_start=$!
      break
    fi
  done
fi
$fast || "$root/eng/images.sh"
step_hint="see the log"
step "agent" "$root/eng/build-agent.sh"
"$root/eng/build.sh" --solution

passed=0 failed=0 skipped=0 ran=0
# tally NAME PASSED FAILED SKIPPED SECONDS LOG
tally() {
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4)) ran=$((ran + 1))
  local text="$2 passed"
  (($3 == 0)) || text+=", $3 failed"
  (($4 == 0)) || text+=", $4 skipped"
  if (($3 == 0)); then
    step_done "$1" "$text, $5 s"
  else
    printf '%s✗ %-46s %s%s\n' "$red" "$1" "$text, $5 s" "$plain"
    printf '  → %s\n' "$6"
  fi
}

# A hang must end inside the time of CI; the longest project takes a few minutes.
limited() { timeout --foreground --kill-after 10 780 "$@"; }

# What a run prints goes to a file, and what it counts to another: several are under way at once.
run_project() {
  local name=$1 log=$results/$1.log trx=$results/$1.trx started=$SECONDS code=0 total=0 good=0 bad=0
  # A suite is a program (tests/Directory.Build.props). It tells of every test that starts and ends, so that a log shows where it hung.
  local arguments=(-noColor -noLogo -noAutoReporters -reporter verbose -result-trx "$trx") expression=$filter
  if $fast; then expression="${filter:+($filter)&}Needs!=engine&Needs!=browser"; fi
  [[ -z $expression ]] || arguments+=(-filterVSTest "$expression")
  limited "$root/artifacts/bin/$name/release/$name" "${arguments[@]}" > "$log" 2>&1 < /dev/null || code=$?
  if [[ -s $trx ]]; then
    read -r total good bad < <(sed -n 's/.*<Counters total="\([0-9]*\)" executed="[0-9]*" passed="\([0-9]*\)" failed="\([0-9]*\)".*/\1 \2 \3/p' "$trx") || true
    total=${total:-0} good=${good:-0} bad=${bad:-0}
  fi
  # A runner that died or hung, or a fixture that could not clean up, has failed, whatever was counted before.
  if ((code != 0 && bad == 0)); then
    bad=1
    if ((code == 124 || code == 137)); then echo "$name: stopped after 13 minutes"; else echo "$name: the tests ended with code $code"; fi
    tail -n 40 "$log"
  elif ((bad > 0)); then
    grep -E -A 24 '\[FAIL\]$|Cleanup Failure' "$log" | head -n 150 || true
  fi
  echo "$good $bad $((total - good - bad)) $((SECONDS - started)) $log" > "$results/$name.counts"
}

# A script that ends with "N passed, N failed".
run_script() {
  local name=$1 log=$results/$1.log started=$SECONDS code=0 good=0 bad=0
  limited "$root/tests/$name/run.sh" > "$log" 2>&1 < /dev/null || code=$?
  read -r good bad < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1) || true
  good=${good:-0} bad=${bad:-0}
  if ((code != 0 && bad == 0)); then bad=1; fi
  if ((bad > 0)); then
    grep -A 12 '^not ok' "$log" | head -n 100 || true
    ((code == 0)) || tail -n 15 "$log"
  fi
  echo "$good $bad 0 $((SECONDS - started)) $log" > "$results/$name.counts"
}

# begin COMMAND NAME: starts it beside what is under way.
begin() {
  "$1" "$2" > "$results/$2.out" 2>&1 < /dev/null &
  under_way[$!]=$2
}

# Waits until at most so many are under way, and counts those that have ended.
await_runs() {
  local most=$1 pid name good bad rest seconds log ticker
  while ((${#under_way[@]} > most)); do
    step_ticker "${under_way[*]}" & ticker=$!
    pid=''
    wait -n -p pid "${!under_way[@]}" || true
    stop_ticker "$ticker"
    [[ ! -t 1 ]] || printf '\r\e[K'
    name=${under_way[$pid]}
    unset "under_way[$pid]"
    cat "$results/$name.out"
    # Without counts the subshell itself has died.
    good=0 bad=1 rest=0 seconds=0 log=$results/$name.out
    [[ ! -s $results/$name.counts ]] || read -r good bad rest seconds log < "$results/$name.counts"
    rm -f "$results/$name.counts" "$results/$name.out"
    tally "$name" "$good" "$bad" "$rest" "$seconds" "$log"
  done
}

# The first project that uses it waits for the S3 server. One that does not start is a failure, never a skipped test.
await_s3() {
  local ticker started=$SECONDS code=0
  [[ -n $s3_start ]] || return 0
  step_ticker "S3 server" & ticker=$!
  wait "$s3_start" || code=$?
  stop_ticker "$ticker"
  [[ ! -t 1 ]] || printf '\r\e[K'
  s3_start=''
  if ((code == 0)); then
    # shellcheck disable=SC1091 # written by eng/s3.sh
    set -a && source "$work/s3/env" && set +a
    step_done "S3 server" "waited $((SECONDS - started)) s"
  else
    tail -n 25 "$results/s3.log"
    tally "S3 server" 0 1 0 "$((SECONDS - started))" "$results/s3.log"
  fi
}

scripts=(templates stack)
if $fast || [[ -n $filter ]]; then scripts=(); fi
for name in "${all[@]}"; do
  if [[ $name == *.EndToEnd ]] || ! wanted "$name"; then continue; fi
  if uses_s3 "$name"; then await_s3; fi
  await_runs 1
  begin run_project "$name"
done
if [[ " ${scripts[*]} " == *' templates '* ]] && wanted templates; then await_runs 1; begin run_script templates; fi
await_runs 0
# These kill, freeze and time what they start: nothing beside them.
for name in "${all[@]}"; do
  if [[ $name != *.EndToEnd ]] || $fast || ! wanted "$name"; then continue; fi
  if uses_s3 "$name"; then await_s3; fi
  begin run_project "$name"
  await_runs 0
done
if [[ " ${scripts[*]} " == *' stack '* ]] && wanted stack; then begin run_script stack; await_runs 0; fi
((ran > 0)) || fail "no test project is called ${projects[*]}" "there are: ${all[*]} templates stack"

say ""
say "$((SECONDS - began)) s in all; results in $results"
line="$passed passed, $failed failed"
((skipped == 0)) || line+=", $skipped skipped"
say "$line"
((failed == 0 && passed > 0))
