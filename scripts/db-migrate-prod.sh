#!/usr/bin/env bash
# The chain on a production database: by the runbooks, with records. Reads .env; never prints a password.
#
#   scripts/db-migrate-prod.sh prepare [REVISION]      discovery, backup, rehearsal; prints plan and digest
#   scripts/db-migrate-prod.sh upgrade [REVISION]      show revision and plan, ask, migrate, verify, show revision
#   scripts/db-migrate-prod.sh downgrade REVISION      the same, down
#   scripts/db-migrate-prod.sh current                 the revision it is stamped with
#   scripts/db-migrate-prod.sh history                 the chain, newest first
#
# Options after these are those of `afdb prepare` and `afdb apply`: --target NAME; --approve DIGEST --approver NAME
# --change-ref TICKET --reason WHY instead of the questions. `prepare REVISION --down` prepares a downgrade.
set -euo pipefail
usage() { sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit "$1"; }

case "${1-}" in
  prepare | upgrade | downgrade | current | history) command=$1; shift ;;
  -h | --help | help) usage 0 ;;
  *) echo "not understood: '${1-}'" >&2; usage 2 >&2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
make --silent .venv/.ready
case "$command" in
  history) exec .venv/bin/afdb history "$@" ;;
  current) [[ " $* " == *" --target "* ]] || set -- --target production "$@"; exec .venv/bin/afdb current "$@" ;;
  prepare) exec .venv/bin/afdb prepare "$@" ;;
  upgrade) exec .venv/bin/afdb apply "$@" ;;
  downgrade)
    [[ -n "${1-}" && "$1" != -* ]] || usage 2 >&2
    exec .venv/bin/afdb apply --down "$@"
    ;;
esac
