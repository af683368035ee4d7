# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts that source this file
# What the scripts of this checkout share: output, progress, retries, root, the names of folders and ports.
# Sourced, never run. The caller has set -euo pipefail.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Not "state": a variable of that name is too easily shadowed by a caller.
state_directory=${CROWNEST_STATE_DIRECTORY:-$root/.crownest}
[[ $state_directory == /* ]] || state_directory=$PWD/$state_directory
# A test run collects its logs elsewhere.
log_directory=${CROWNEST_LOG_DIRECTORY:-$state_directory/logs}
api_port=${CROWNEST_API_PORT:-8787}
dashboard_port=${CROWNEST_DASHBOARD_PORT:-8788}
worker_port=${CROWNEST_WORKER_PORT:-8789}
postgres_port=${CROWNEST_POSTGRES_PORT:-8790}
redis_port=${CROWNEST_REDIS_PORT:-8791}
aspire_port=${CROWNEST_ASPIRE_PORT:-8792}
otlp_port=${CROWNEST_OTLP_PORT:-8793}
export CROWNEST_STATE_DIRECTORY=$state_directory CROWNEST_API_PORT=$api_port CROWNEST_DASHBOARD_PORT=$dashboard_port \
  CROWNEST_WORKER_PORT=$worker_port CROWNEST_POSTGRES_PORT=$postgres_port CROWNEST_REDIS_PORT=$redis_port \
  CROWNEST_ASPIRE_PORT=$aspire_port CROWNEST_OTLP_PORT=$otlp_port
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

if [[ -t 1 ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi

say() { printf '%s\n' "$*"; }
note() { printf '%s  %s%s\n' "$dim" "$*" "$plain"; }

# fail MESSAGE [WHAT-TO-DO...]: the end of the script.
fail() {
  printf '%s✗ %s%s\n' "$red" "$1" "$plain" >&2
  shift
  local line
  for line in "$@"; do printf '  → %s\n' "$line" >&2; done
  exit 1
}

# usage_error SCRIPT MESSAGE: unknown words end with the usage and code 2, before anything was touched.
usage_error() {
  printf '%s: %s\n\n' "$1" "$2" >&2
  usage >&2
  exit 2
}

# step NAME COMMAND...: runs the command in the foreground (Ctrl+C reaches it), its output in a log of that name; shows
# the name and the seconds while it runs. $step_hint, when set, is what a reader should do about a failure.
step_hint=''
step() {
  local name=$1 log started=$SECONDS ticker code=0
  shift
  log=$(step_log "$name")
  step_ticker "$name" & ticker=$!
  # In a subshell, and not as part of a condition: only so does set -e hold inside the command, should it be a function.
  set +e
  (set -e; "$@") > "$log" 2>&1 < /dev/null
  code=$?
  set -e
  stop_ticker "$ticker"
  [[ ! -t 1 ]] || printf '\r\e[K'
  if ((code == 0)); then
    step_done "$name" "$((SECONDS - started)) s"
  else
    printf '%s✗ %-46s %s%s\n' "$red" "$name" "$((SECONDS - started)) s, exit code $code" "$plain" >&2
    tail -n 15 "$log" | sed 's/^/    /' >&2
    [[ -z $step_hint ]] || printf '  → %s\n' "$step_hint" >&2
    printf '  → the whole log: %s\n' "$log" >&2
    exit 1
  fi
}

step_done() { printf '%s✓%s %-46s %s%s%s\n' "$green" "$plain" "$1" "$dim" "${2:-}" "$plain"; }

step_log() {
  mkdir -p "$log_directory"
  local name=${1,,}
  printf '%s/%s.log\n' "$log_directory" "${name//[^a-z0-9]/-}"
}

# SIGKILL, because SIGTERM may be ignored: a script that cleans up after itself inherits that from the one that called it.
stop_ticker() {
  kill -KILL "$1" 2> /dev/null || true
  wait "$1" 2> /dev/null || true
}

# On a terminal one line that counts; elsewhere a line every 15 s, so that a log shows that something still happens.
# Ends by itself when the script that it reports for is gone.
step_ticker() {
  local elapsed=0
  while kill -0 $$ 2> /dev/null; do
    if [[ -t 1 ]]; then
      printf '\r\e[K%s·%s %-46s %s%s s%s' "$dim" "$plain" "$1" "$dim" "$elapsed" "$plain"
    elif ((elapsed > 0 && elapsed % 15 == 0)); then
      printf '· %-46s %s s\n' "$1" "$elapsed"
    fi
    sleep 1
    elapsed=$((elapsed + 1))
  done
}

# retry TIMES COMMAND...: waits 3, 6, 9 ... seconds in between.
retry() {
  local times=$1 attempt
  shift
  for ((attempt = 1; ; attempt++)); do
    "$@" && return 0
    ((attempt < times)) || return 1
    echo "attempt $attempt of $times failed; again in $((attempt * 3)) s" >&2
    sleep $((attempt * 3))
  done
}

# as_root COMMAND...: directly as root, else through sudo. Environment that the command needs is named by the caller
# with "env NAME=value" (never a secret: other users can read command lines).
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo -- "$@"
  else
    fail "this needs root, and sudo is not installed" "run it as root, or install sudo and allow it for $(id -un)"
  fi
}

# The engine's socket belongs to root or to the group docker. Images are built by the classic builder: the other one needs
# a plugin of the client that Debian does not bring along.
engine() { engine_within 0 "$@"; }
engine_within() {
  local seconds=$1
  shift
  if ((EUID == 0)) || [[ -w /var/run/docker.sock ]]; then
    DOCKER_BUILDKIT=0 timeout --foreground "$seconds" docker "$@"
  else
    as_root env DOCKER_BUILDKIT=0 timeout --foreground "$seconds" docker "$@"
  fi
}
engine_answers() { command -v docker > /dev/null && engine_within 10 version --format '{{.Server.Version}}' > /dev/null 2>&1; }

# The machine's own Debian mirror, where apt has another one than a plain Debian: that is what this machine can reach.
# Prints the address of the archive whose Release file carries the given label; nothing on a machine that is no Debian.
mirror_of() {
  apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2> /dev/null \
    | awk -F'|' -v label="$1" '$1 == label { sub(/\/$/, "", $2); print $2; exit }'
}

# lock_path NAME: a file for flock that every checkout of this machine shares.
lock_path() {
  local folder=/run/lock
  [[ -w $folder ]] || folder=${TMPDIR:-/tmp}
  printf '%s/crownest-%s-%s.lock\n' "$folder" "$1" "$(id -u)"
}

# The stack of this state folder.
api_url=http://127.0.0.1:$api_port
dashboard_url=http://127.0.0.1:$dashboard_port
worker_url=http://127.0.0.1:$worker_port
# Aspire's own dashboard: resources, logs, traces. Its token lasts as long as the state folder.
aspire_url() { printf 'http://127.0.0.1:%s/login?t=%s\n' "$aspire_port" "$(read_state "$state_directory/secrets/aspire-dashboard-token")"; }
secret_file=$state_directory/secrets/deployment-secret

# read_state FILE: a file of the state folder that may belong to root.
read_state() {
  if [[ -r $1 ]]; then cat "$1"; else as_root cat "$1"; fi
}
state_has() { [[ -e $1 ]] || { ((EUID != 0)) && [[ ! -x $(dirname "$1") ]] && as_root test -e "$1"; }; }

# command_line PID: with spaces; nothing when the process is gone or a zombie.
command_line() { { tr '\0' ' ' < "/proc/$1/cmdline"; } 2> /dev/null || true; }

# apphost_pids: every AppHost that runs on this state folder, whether up.sh or "dotnet run" has started it. A pid file
# outlives its process when that one was killed, so the process must also look like one.
apphost_pids() {
  local file pid
  for file in "$state_directory/apphost.pid" "$state_directory/up.pid"; do
    [[ -r $file ]] || continue
    pid=$(head -n 1 "$file")
    if [[ $pid =~ ^[0-9]+$ && $(command_line "$pid") == *CrowNest.AppHost* ]]; then echo "$pid"; fi
  done | sort -u
}

# service_pids: API, worker and dashboard of this state folder; their environment names it, and nobody else's does.
service_pids() {
  local file
  for file in /proc/[0-9]*/environ; do
    if as_root grep -qzF "CrowNest__StateDirectory=$state_directory/" "$file" 2> /dev/null; then basename "$(dirname "$file")"; fi
  done
}

# call TOKEN METHOD URL [JSON]: the answer's body; fails on an HTTP error, with the body on stderr. The token goes to curl
# through a pipe: a command line can be read by everybody on the machine.
call() {
  local token=$1 method=$2 url=$3 body=${4:-} answer status
  # curl adds the status as the last line.
  answer=$(
    {
      printf 'header = "Authorization: Bearer %s"\n' "$token"
      if [[ -n $body ]]; then
        printf 'header = "Content-Type: application/json"\n'
        printf 'data-binary = "%s"\n' "$(sed 's/\\/\\\\/g; s/"/\\"/g' <<< "$body")"
      fi
    } | curl --silent --show-error --noproxy '*' --max-time 90 --request "$method" --write-out '\n%{http_code}' --config - "$url"
  ) || return 1
  status=${answer##*$'\n'}
  answer=${answer%$'\n'*}
  if [[ $status == 2?? ]]; then
    printf '%s\n' "$answer"
  else
    printf '%s %s answered %s: %s\n' "$method" "$url" "$status" "$answer" >&2
    return 1
  fi
}
