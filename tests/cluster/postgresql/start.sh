#!/bin/bash
# Makes the cluster and the database on first start, as POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB say.
set -euo pipefail
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
if [[ ! -s $PGDATA/PG_VERSION ]]; then
  mkdir -p "$PGDATA"
  initdb -D "$PGDATA" -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") -E UTF8 --locale=C
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -c unix_socket_directories=/tmp" start
  PGPASSWORD=$POSTGRES_PASSWORD createdb -h /tmp -U "$POSTGRES_USER" "$POSTGRES_DB" || [[ $POSTGRES_DB == "$POSTGRES_USER" ]]
  pg_ctl -D "$PGDATA" -w stop
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp
