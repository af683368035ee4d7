#!/usr/bin/env bash
# From a clone to a running CrowNest: prerequisites, engine, templates, agent, build, stack, a first sandbox.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/eng/lib.sh"

usage() {
  cat << 'USAGE'
usage: ./up.sh [--detach] [--skip-setup] [--logs]

Brings CrowNest up on this machine: installs what is missing, builds what has changed, starts the stack, runs a real
program in a first sandbox, and prints how to reach it. Stays in the foreground; Ctrl+C stops everything.

  --detach      return when the stack is healthy; ./down.sh stops it
  --skip-setup  do not look for missing packages
  --logs        in the foreground, show the console of every process

  CROWNEST_STATE_DIRECTORY       where everything is kept (.crownest in the checkout)
  CROWNEST_API_PORT              8787; dashboard, worker, Postgres and Redis: CROWNEST_DASHBOARD_PORT (8788),
                                 CROWNEST_WORKER_PORT (8789), CROWNEST_POSTGRES_PORT (8790), CROWNEST_REDIS_PORT (8791),
                                 CROWNEST_ASPIRE_PORT (8792) and CROWNEST_OTLP_PORT (8793) of Aspire's own dashboard
  CROWNEST_BOOTSTRAP_API_KEY     an API key of your own choice; otherwise the first start makes one and shows it
  CROWNEST_IMAGES_FROM           auto, pull or packages: see eng/images.sh --help
USAGE
}

detach=false setup=true logs=false
while (($# > 0)); do
  case $1 in
    --detach | -d) detach=true ;;
    --skip-setup) setup=false ;;
    --logs) logs=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error ./up.sh "unknown argument '$1'" ;;
  esac
  shift
done

began=$SECONDS
if ((EUID != 0)); then
  command -v sudo > /dev/null || fail "sandboxes need root: their networks, limits and the engine's socket belong to it" \
    "run ./up.sh as root, or install sudo"
  note "sandboxes need root; sudo may ask for your password"
  sudo -v || fail "sudo refused" "run ./up.sh as root, or as a user who may use sudo"
fi

summary() {
  local link
  link=$("$root/eng/sign-in-link.sh") || link="(none: run eng/sign-in-link.sh)"
  say ""
  say "${bold}CrowNest is up.${plain}"
  say ""
  say "  API        $api_url"
  say "  dashboard  $link"
  say "             ${dim}signs in once; a new link: eng/sign-in-link.sh${plain}"
  say "  Aspire     $(aspire_url)"
  say "             ${dim}processes, logs and traces of this stack${plain}"
  if [[ -n $new_key ]]; then
    say "  API key    ${bold}$new_key${plain}"
    say "             ${dim}shown only now: keep it${plain}"
  elif [[ -n ${CROWNEST_BOOTSTRAP_API_KEY:-} ]]; then
    say "  API key    ${dim}the one in CROWNEST_BOOTSTRAP_API_KEY${plain}"
  else
    say "  API key    ${dim}shown at the first start; for another one: CROWNEST_BOOTSTRAP_API_KEY=cn_live_... ./up.sh${plain}"
  fi
  say ""
  say "Try next:"
  say ""
  say "  export CROWNEST_API_KEY=${new_key:-cn_live_...}"
  say "  cn() { curl -sS -H \"Authorization: Bearer \$CROWNEST_API_KEY\" -H 'Content-Type: application/json' \"\$@\"; }"
  say ""
  say "  SBX=\$(cn $api_url/v1/sandboxes -d '{\"template\":\"python-node\"}' | jq -r .sandbox.id)"
  say "  cn $api_url/v1/sandboxes/\$SBX/commands/run -d '{\"command\":\"python -c \\\"print(6 * 7)\\\" && node -v\"}' | jq -r .command.stdout"
  say "  cn $api_url/v1/sandboxes/\$SBX -X DELETE | jq -r .sandbox.status"
  say ""
}

new_key=''
# Its processes and ports would be in the way.
if [[ -e $state_directory/apphost.pid && -z $(apphost_pids) ]]; then
  note "the last stack on $state_directory was killed; cleaning up after it"
  "$root/down.sh" --keep-engine
fi
mkdir -p "$state_directory"
mkdir -p "$log_directory"
chmod 700 "$log_directory" 2> /dev/null || true

if [[ -n $(apphost_pids) ]]; then
  note "the stack already runs on $state_directory; ./down.sh stops it"
  summary
  exit 0
fi

# A second up.sh on the same folder would race for the same ports.
exec 8> "$state_directory/up.lock"
flock --nonblock 8 || fail "another ./up.sh is at work on $state_directory" "wait for it, or give this one a folder and ports of its own"

images_pid='' follower=''
apphost_started=false
on_exit() {
  local code=$?
  trap - EXIT
  # Not TERM: children would inherit that they ignore it.
  trap '' INT HUP
  trap : TERM
  [[ -z $images_pid ]] || kill "$images_pid" 2> /dev/null || true
  [[ -z $follower ]] || kill "$follower" 2> /dev/null || true
  if $apphost_started; then
    say ""
    "$root/down.sh" 8>&- || code=1
  fi
  exit "$code"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if $setup; then "$root/eng/setup.sh" 8>&-; fi
"$root/eng/engine.sh" 8>&-

# The images wait for the network while the build wants the processor: side by side they take the time of the longer one.
if ! "$root/eng/images.sh" --check > /dev/null 8>&-; then
  (
    code=0
    "$root/eng/images.sh" > "$log_directory/images.log" 2>&1 < /dev/null || code=$?
    printf '%s\n' "$code" > "$log_directory/images.code"
  ) 8>&- &
  images_pid=$!
fi
wait_for_images() {
  while kill -0 "$images_pid" 2> /dev/null; do sleep 0.5; done
  cat "$log_directory/images.log"
  [[ $(< "$log_directory/images.code") == 0 ]]
}

step_hint="eng/build-agent.sh alone shows the same"
step "agent" "$root/eng/build-agent.sh" 8>&-
"$root/eng/build.sh" 8>&-
if [[ -n $images_pid ]]; then
  step_hint="eng/images.sh continues where this one ended"
  step "images" wait_for_images
  images_pid=''
fi

check_port() {
  local owner
  owner=$(as_root ss -Hltnp "sport = :$2" 2> /dev/null | head -n 1)
  [[ -z $owner ]] || fail "port $2 is taken, and the $1 wants it" \
    "by: $(grep -o 'users:.*' <<< "$owner" || echo 'a process of another user')" "stop that one, or set CROWNEST_${1^^}_PORT to a free port"
}
check_port api "$api_port"
check_port dashboard "$dashboard_port"
check_port worker "$worker_port"
check_port postgres "$postgres_port"
check_port redis "$redis_port"
check_port aspire "$aspire_port"
check_port otlp "$otlp_port"

# The first key is made here and not by the API, so that it stands on this terminal and in no log.
first_key_record=$state_directory/first-key-shown
if [[ -z ${CROWNEST_BOOTSTRAP_API_KEY:-} && ! -e $first_key_record ]]; then
  # Reading a fixed number of bytes first: a pipe that ends early would end this script (pipefail).
  characters=$(head -c 2000 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9')
  new_key=cn_live_${characters:0:40}
fi

apphost_log=$log_directory/apphost.log
launch() {
  local command names dotnet
  dotnet=$(command -v dotnet)
  command=("$dotnet" exec "$root/artifacts/bin/CrowNest.AppHost/release/CrowNest.AppHost.dll")
  # The process notes its own number, which sudo would hide from us; its own session keeps Ctrl+C to this script alone.
  command=(setsid sh -c 'echo $$ > "$0"; exec "$@"' "$state_directory/up.pid" "${command[@]}")
  export CROWNEST_BOOTSTRAP_API_KEY=${new_key:-${CROWNEST_BOOTSTRAP_API_KEY:-}}
  [[ -n $CROWNEST_BOOTSTRAP_API_KEY ]] || unset CROWNEST_BOOTSTRAP_API_KEY
  cd "$root"
  if ((EUID == 0)); then
    "${command[@]}" > "$apphost_log" 2>&1 < /dev/null 8>&- &
  else
    # sudo forgets the environment; names on its command line are no secret, values would be. The log is this user's own.
    names=$(compgen -e | grep -E '^(CROWNEST_|OTEL_|ASPIRE_|DOTNET_|ASPNETCORE_|Logging__|Objects__|Worker__|Api__|CrowNest__|ConnectionStrings__)' | paste -sd, -)
    # shellcheck disable=SC2024
    sudo --preserve-env="$names" -- env PATH="$PATH" "${command[@]}" > "$apphost_log" 2>&1 < /dev/null 8>&- &
  fi
}

answers() { curl --silent --fail --output /dev/null --noproxy '*' --max-time 2 "$1/healthz"; }
start_stack() {
  local url deadline=$((SECONDS + 180)) seen=false
  ( umask 077; touch "$apphost_log"; [[ ! -s $apphost_log ]] || mv "$apphost_log" "$log_directory/apphost.1.log"; touch "$apphost_log" )
  rm -f "$state_directory/up.pid" 2> /dev/null || as_root rm -f "$state_directory/up.pid"
  launch
  for url in "$worker_url" "$api_url" "$dashboard_url"; do
    until answers "$url"; do
      [[ -z $(apphost_pids) ]] || seen=true
      if $seen && [[ -z $(apphost_pids) ]]; then
        echo "the AppHost ended. Its last lines:"
        tail -n 14 "$apphost_log"
        return 1
      fi
      if ((SECONDS >= deadline)); then
        echo "$url/healthz does not answer after 180 s. The AppHost's last lines:"
        tail -n 14 "$apphost_log"
        return 1
      fi
      sleep 0.2
    done
  done
}

apphost_started=true
step_hint="what each process said: $log_directory (apphost.log, api.log, worker.log, ...)"
step "stack starts" start_stack
if state_has "$secret_file"; then
  step_hint="the worker's log: $log_directory/worker.log; the API's: $log_directory/api.log; again: eng/first-sandbox.sh"
  step "first sandbox (python and node)" "$root/eng/first-sandbox.sh"
else
  note "no deployment secret in $state_directory/secrets, so no first sandbox was tried"
fi
summary
# Only now: a start that failed before this line has shown nobody its key, and the next one makes another.
if [[ -n $new_key ]]; then printf 'shown at %s\n' "$(date -u +%FT%TZ)" > "$first_key_record"; fi
step_done "ready" "$((SECONDS - began)) s in all"

if $detach; then
  say "  ./down.sh stops it; logs are in $log_directory"
  apphost_started=false
  exit 0
fi

say "  Ctrl+C stops it; logs are in $log_directory"
# What the AppHost itself has to say: a process that died, one that is back.
followed=("$apphost_log")
! $logs || followed=("$log_directory"/{api,worker,dashboard,postgres,redis}.log)
tail -q -n 0 --follow=name --retry "${followed[@]}" 8>&- 2> /dev/null & follower=$!
pid=$(apphost_pids | head -n 1)
tail --pid="$pid" --follow /dev/null 8>&- &
wait $!
tail -n 14 "$apphost_log" | sed 's/^/    /' >&2
fail "the stack ended by itself" "its last lines are above; all of them: $apphost_log"
