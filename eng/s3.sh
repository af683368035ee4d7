#!/usr/bin/env bash
# A real S3 server for tests: Debian's Ceph with its RADOS Gateway, on 127.0.0.1, in memory.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat << 'USAGE'
usage: eng/s3.sh install | start DIR | stop DIR

Ceph's RADOS Gateway from Debian bookworm, for tests: it listens on 127.0.0.1 only, keeps objects in memory, and is gone
without a trace when it stops. Needs root, or sudo. Several run beside each other, each with a folder of its own.

  install    unpack Ceph's programs (about 450 MB) into the cache, artifacts/s3; CROWNEST_S3_CACHE names another folder
  start DIR  install if that is still to do, start a server, make a user and a bucket. Returns when a signed put and get
             have worked; DIR/env then holds CROWNEST_TEST_S3_ENDPOINT, _BUCKET, _ACCESS_KEY and _SECRET_KEY. Does
             nothing when the server of DIR runs. CROWNEST_S3_PORT_BASE names the first of its 20 ports
  stop DIR   stop the server of DIR and wait for its end; nothing to stop is no error
USAGE
}

case "${1:-} $#" in
  'install 1' | 'start 2' | 'stop 2') ;;
  '-h 1' | '--help 1') usage; exit 0 ;;
  *) usage_error eng/s3.sh "wants install, start DIR or stop DIR" ;;
esac
[[ $1 == install || $2 == /* ]] || set -- "$1" "$PWD/$2"
if ((EUID != 0)); then
  # What root writes for this user must be readable by this user.
  as_root env "CROWNEST_S3_CACHE=${CROWNEST_S3_CACHE:-}" "CROWNEST_S3_PORT_BASE=${CROWNEST_S3_PORT_BASE:-}" \
    "CROWNEST_TEST_RUN=${CROWNEST_TEST_RUN:-}" "CROWNEST_S3_OWNER=$(id -u):$(id -g)" "${BASH_SOURCE[0]}" "$@"
  exit
fi

release=bookworm
cache=${CROWNEST_S3_CACHE:-$root/artifacts/s3}
programs=$cache/ceph-$release
directory=${2:-}
bucket=crownest
owner=${CROWNEST_S3_OWNER:-0:0}

unpack() {
  local folder
  command -v mmdebstrap > /dev/null || { echo "mmdebstrap is missing; eng/setup.sh installs it"; return 1; }
  folder=$(mktemp -d "$cache/new.XXXXXX")
  local mirror sources=()
  mirror=$(mirror_of Debian)
  [[ -z $mirror ]] || sources+=("deb $mirror $release main")
  # In mounts of its own, so that what it mounts is gone with it, however it ends.
  unshare --mount mmdebstrap --variant=minbase --mode=root --include=radosgw,ceph-mon,ceph-osd,ceph-common \
    --aptopt='Acquire::Retries "3"' --customize-hook='mkdir "$1/data"' \
    --customize-hook='rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/usr/lib/*/perl* "$1"/usr/share/perl*' \
    "$release" "$folder" "${sources[@]}"
  # Root's alone by default; the servers see it read-only.
  chmod 755 "$folder"
  mv "$folder" "$programs"
}

clear_half_done() { rm -rf --one-file-system "$cache"/new.*; }

# One at a time per cache; who waited finds the work done.
install() {
  mkdir -p "$cache"
  [[ ! -d $programs ]] || return 0
  local lock
  exec {lock}> "$cache/lock"
  if ! flock --nonblock "$lock"; then
    note "another start unpacks Ceph's programs; waiting for it"
    flock "$lock"
  fi
  if [[ ! -d $programs ]]; then
    clear_half_done
    step_hint="is a Debian mirror reachable? run it again"
    step "S3 server (Ceph of Debian $release)" retry 3 unpack_afresh
  fi
  exec {lock}>&-
}
unpack_afresh() { clear_half_done && unpack; }

lives() { [[ -d /proc/$1 && $(awk '{ print $3 }' "/proc/$1/stat" 2> /dev/null) != [ZX] ]]; }

# The server of this folder, if it runs: a pid outlives its process when that one was killed.
running() {
  local pid
  [[ -s $directory/pid ]] || return 1
  pid=$(< "$directory/pid")
  [[ $pid =~ ^[0-9]+$ && $(command_line "$pid") == *"s3-server.sh $directory "* ]] && lives "$pid" && echo "$pid"
}

stop() {
  local pid waited
  if pid=$(running); then
    # With it goes process 1 of the namespace, with that one everything in it. There is nothing to save.
    kill -KILL "$pid"
    for ((waited = 0; waited < 300; waited++)); do
      # The lock is held by every process of the server.
      if ! lives "$pid" && flock --nonblock "$directory/lock" true; then break; fi
      sleep 0.1
    done
    ((waited < 300)) || fail "the S3 server (process $pid) does not end" "its folder: $directory"
  fi
  rm -f "$directory/pid" "$directory/env"
}

# signed METHOD PATH [CURL-ARGUMENT...]: prints the answer's body; fails on an error. Keys go through a pipe.
signed() {
  local method=$1 path=$2
  shift 2
  printf 'user = "%s:%s"\n' "$access_key" "$secret_key" \
    | curl --silent --show-error --fail --noproxy '*' --max-time 10 --request "$method" --config - \
      --aws-sigv4 aws:amz:us-east-1:s3 --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@" "$endpoint$path"
}

# An answer alone means nothing: the gateway answers strangers even when the store behind it is dead.
works() {
  signed PUT "/$bucket" > /dev/null && signed PUT "/$bucket/ready" --data-binary ready > /dev/null \
    && [[ $(signed GET "/$bucket/ready") == ready ]] && signed DELETE "/$bucket/ready"
}

# take_ports: a block of 20 ports that no other server of these scripts has, in $port; held through a lock as long as the
# server lives.
take_ports() {
  local tries offset
  for ((tries = 0; tries < 100; tries++)); do
    port=${CROWNEST_S3_PORT_BASE:-$((11000 + RANDOM % 400 * 20))}
    exec 8> "$(lock_path "s3-ports-$port")"
    flock --nonblock 8 || continue
    for offset in 0 1 2 3 4 5 6 7 8 19; do
      ! (: < "/dev/tcp/127.0.0.1/$((port + offset))") 2> /dev/null || continue 2
    done
    return 0
  done
  fail "no free block of ports for the S3 server" "CROWNEST_S3_PORT_BASE names the first of 20"
}

launch() {
  local pid waited
  stop
  exec 9> "$directory/lock"
  flock --nonblock 9 || { echo "processes of an earlier server still hold $directory/lock"; return 1; }
  access_key=$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')
  secret_key=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
  endpoint=http://127.0.0.1:$((port + 19))
  # A session of its own: Ctrl+C in this terminal is ours, who stop it then. The folder is named for "running". The lock of
  # this start is not the server's.
  S3_ACCESS_KEY=$access_key S3_SECRET_KEY=$secret_key setsid unshare --mount --pid --fork --kill-child=KILL \
    "$root/eng/s3-server.sh" "$directory" "$programs" "$port" > "$directory/log" 2>&1 < /dev/null {busy}>&- &
  pid=$!
  echo "$pid" > "$directory/pid"
  for ((waited = 0; waited < 300; waited++)); do
    if ! lives "$pid"; then
      echo "the server ended:"
      tail -n 20 "$directory/log"
      return 1
    fi
    if works 2> "$directory/probe.log"; then
      write_environment
      return 0
    fi
    sleep 0.1
  done
  echo "the server does not serve after half a minute and more:"
  cat "$directory/probe.log"
  tail -n 20 "$directory/log"
  return 1
}

write_environment() {
  (
    umask 077
    printf 'CROWNEST_TEST_S3_%s\n' "ENDPOINT=$endpoint" "BUCKET=$bucket" "ACCESS_KEY=$access_key" "SECRET_KEY=$secret_key" \
      > "$directory/env.new"
  )
  chown "$owner" "$directory/env.new"
  mv "$directory/env.new" "$directory/env"
}

start() {
  install
  mkdir -p "$directory"
  local busy
  exec {busy}> "$directory/starting"
  flock "$busy"
  if running > /dev/null && [[ -s $directory/env ]]; then
    step_done "S3 server" "runs already"
    return 0
  fi
  stop
  trap 'code=$?; ((code == 0)) || stop; exit "$code"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  take_ports
  step_hint="the server's own log: $directory/log"
  step "S3 server" retry 2 launch
}

case $1 in
  install) install; step_done "S3 server's programs" "$programs" ;;
  start) start ;;
  stop) stop ;;
esac
