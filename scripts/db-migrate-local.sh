#!/usr/bin/env bash
# The chain on the local database. Reads .env; never prints a password.
#
#   scripts/db-migrate-local.sh upgrade [REVISION]     take it up, to the head by default
#   scripts/db-migrate-local.sh downgrade REVISION     take it down
#   scripts/db-migrate-local.sh current                the revision it is stamped with
#   scripts/db-migrate-local.sh history                the chain, newest first
#   scripts/db-migrate-local.sh create "MESSAGE"       write a new revision from the models
set -euo pipefail
cd_root() { cd "$(dirname "${BASH_SOURCE[0]}")/.."; }
usage() { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit "$1"; }

case "${1-}" in
  upgrade | downgrade | current | history | create) ;;
  -h | --help | help) usage 0 ;;
  *) echo "not understood: '${1-}'" >&2; usage 2 >&2 ;;
esac
cd_root
make --silent .venv/.ready
exec .venv/bin/afdb "$@"
