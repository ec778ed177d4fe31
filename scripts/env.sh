# Shell: where lumina's development tools live. Sourced by every script here; prints nothing, changes nothing.
#
# Everything is under one folder, so that the system's own Postgres is never read or written:
#   $LUMINA_HOME/pg/<major>   a private copy of Debian's server packages
#   $LUMINA_HOME/tools        cargo-pgrx of the pinned version
#   $LUMINA_HOME/pgrx         pgrx's own configuration (PGRX_HOME)
# The folder is target/ unless the user who runs the servers cannot reach it (a checkout under /root, say).

LUMINA_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PGRX_VERSION=0.18.1
PG=${PG:-15}
LUMINA_RUN_AS=${LUMINA_RUN_AS:-postgres}

# Runs a command as the unprivileged user who runs the throwaway servers. That user may not be allowed to enter the
# current directory, about which every program of Postgres complains: another user's command starts in /, and takes no
# relative paths.
as_server_user() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && exec runuser -u "$LUMINA_RUN_AS" -- "$@"); else "$@"; fi
}

if [ -z "${LUMINA_HOME:-}" ]; then
  LUMINA_HOME=$LUMINA_TOP/target
  if [ "$(id -u)" -eq 0 ] && id "$LUMINA_RUN_AS" >/dev/null 2>&1 && ! as_server_user test -x "$LUMINA_TOP"; then
    LUMINA_HOME=/var/tmp/lumina-$(printf '%s' "$LUMINA_TOP" | cksum | cut -d' ' -f1)
    if [ -e "$LUMINA_HOME" ] && [ ! -O "$LUMINA_HOME" ]; then # anyone can make a folder there
      echo "lumina: $LUMINA_HOME belongs to somebody else; set LUMINA_HOME to another folder" >&2
      exit 1
    fi
  fi
fi

PG_ROOT=$LUMINA_HOME/pg/$PG
PG_CONFIG=$PG_ROOT/usr/lib/postgresql/$PG/bin/pg_config
CARGO_PGRX=$LUMINA_HOME/tools/bin/cargo-pgrx
export LUMINA_TOP LUMINA_HOME LUMINA_RUN_AS PG PG_ROOT PG_CONFIG
export PGRX_HOME=$LUMINA_HOME/pgrx
export CARGO_TARGET_DIR=$LUMINA_HOME
export PATH=$LUMINA_HOME/tools/bin:$PATH
export LUMINA_PG_BIN=$PG_ROOT/usr/lib/postgresql/$PG/bin
