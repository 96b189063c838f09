#!/usr/bin/env bash
# The chain on a production database: by the migration runbook, with a record. Reads .env; never prints a password.
#
#   scripts/db-migrate-prod.sh upgrade [REVISION]      show revision and plan, ask, migrate, show revision
#   scripts/db-migrate-prod.sh downgrade REVISION      the same, down
#   scripts/db-migrate-prod.sh current                 the revision it is stamped with
#   scripts/db-migrate-prod.sh history                 the chain, newest first
#
# Options after these: --approve DIGEST (instead of the question), --change-ref TICKET, --reason WHY, --target NAME.
# The target is `production` (PRODUCTION_DATABASE_URL) unless --target names another.
set -euo pipefail
usage() { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit "$1"; }

case "${1-}" in
  upgrade | downgrade | current | history) command=$1; shift ;;
  -h | --help | help) usage 0 ;;
  *) usage 2 >&2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
make --silent .venv/.ready
case "$command" in
  history) exec .venv/bin/afdb history "$@" ;;
  current) [[ " $* " == *" --target "* ]] || set -- --target production "$@"; exec .venv/bin/afdb current "$@" ;;
  upgrade) exec .venv/bin/afdb migrate "$@" ;;
  downgrade)
    [[ -n "${1-}" && "$1" != -* ]] || usage 2 >&2
    exec .venv/bin/afdb migrate --down "$@"
    ;;
esac
