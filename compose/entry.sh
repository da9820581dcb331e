#!/bin/sh
# What the image of fileyard starts. `first-start` makes the keys and ends; anything else is fileyard's own command
# line, with those keys in its environment. It prints no key.
#
#   /data/api-key                  fileyard's own, which every client needs
#   /keys/user, /keys/password     the store's, between fileyard and the store alone
#   /store/fileyard                the bucket, which is a directory on the store's disk
#
# FILEYARD_USER is who the server runs as, by number; /data and the keys are given to it.
set -eu
umask 077

# new FILE BYTES: random ones, in hex, unless the file is there. Whole or not at all, whenever this is killed.
new() {
  [ ! -s "$1" ] || return 0
  od -An -v -tx1 -N "$2" /dev/urandom | tr -d ' \n' >"$1.new"
  mv "$1.new" "$1"
}

first_start() {
  owner=${FILEYARD_USER:-0:0}
  new /data/api-key 32
  new /keys/user 8
  new /keys/password 32
  mkdir -p /store/fileyard
  chown "$owner" /data /data/api-key /keys /keys/user /keys/password
  chmod 700 /data /keys
  echo "The API key is in /data/api-key: docker compose exec fileyard cat /data/api-key"
}

if [ "${1:-}" = first-start ]; then
  first_start
  exit
fi

# from FILE VARIABLE: unless the variable says something already.
from() {
  eval "said=\${$2:-}"
  if [ -z "$said" ] && [ -r "$1" ]; then export "$2=$(cat "$1")"; fi
}
from /data/api-key FILEYARD_HTTP__API_KEY
from /data/api-key FILEYARD_API_KEY
from /keys/user AWS_ACCESS_KEY_ID
from /keys/password AWS_SECRET_ACCESS_KEY
umask 022
exec fileyard "$@"
