#!/bin/sh
# Makes the cluster at the first start, then becomes the server.
set -eu
umask 077
# Settings alone are for the server.
case ${1:-} in -*) set -- postgres "$@" ;; esac

if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  install -d -o postgres -g postgres -m 2775 /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

server=$(postgres --version | sed 's/.* \([0-9]*\)\..*/\1/')
if [ -s "$PGDATA/PG_VERSION" ]; then
  if [ "$(cat "$PGDATA/PG_VERSION")" != "$server" ]; then
    echo "The data was written by Postgres $(cat "$PGDATA/PG_VERSION"), and this is Postgres $server: dump it with the old one, or use pg_upgrade." >&2
    exit 1
  fi
else
  : "${POSTGRES_PASSWORD:?is not set}"
  # In a folder beside, renamed when it is whole: a start that is killed half-way leaves no half cluster.
  new=$PGDATA/new
  rm -rf "$new"
  printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
  # POSTGRES_INITDB_ARGS is a list of words on purpose.
  # shellcheck disable=SC2086
  initdb --pgdata "$new" --username "${POSTGRES_USER:-postgres}" --pwfile /tmp/password --encoding UTF8 --locale C.UTF-8 \
    --auth-local scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
  rm /tmp/password
  printf 'host all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$new/pg_hba.conf"
  printf "listen_addresses = '*'\n" >> "$new/postgresql.conf"
  # PG_VERSION comes last: with it, the cluster counts as made.
  for entry in "$new"/*; do
    [ "${entry##*/}" = PG_VERSION ] || mv "$entry" "$PGDATA/"
  done
  mv "$new/PG_VERSION" "$PGDATA/"
  rmdir "$new"
fi
unset POSTGRES_PASSWORD
# Postgres' own check for a second server on this folder compares process ids, and in every container the server is process 1.
exec 9> "$PGDATA/server.lock"
flock --nonblock 9 || { echo "Another Postgres already runs on this data folder." >&2; exit 1; }
exec "$@"
