# shellcheck shell=bash disable=SC2034 # some variables are for who sources this
# What the scripts beside this file share; sourced, never run. It starts things in the background and ends every one
# of them again when the script ends, by the pid it started. It never installs (bootstrap does) and never uses sudo.

set -euo pipefail
# Where rustup keeps cargo, and Debian dockerd and iptables, also for who is not root.
PATH=$PATH:${HOME:-/root}/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
tools=$target/tools
logs=$target/log
keep=        # set by --keep: a dockerd started here goes on
started=()   # pids, oldest first; ended newest first
started_pid= # the last of them
scratch=     # a directory that goes with the script; scratch_dir makes it

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" = 0 ]; }

# The script's opening comment is its help.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

scratch_dir() { [ -n "$scratch" ] || scratch=$(mktemp -d "${TMPDIR:-/tmp}/fileyard-${0##*/}.XXXXXX"); }

# start NAME COMMAND...: in the background and in a session of its own, so that a Ctrl-C meant for the script does not
# reach it first. Its output goes to $logs/NAME.log.
start() {
  local name=$1
  shift
  mkdir -p "$logs"
  setsid "$@" </dev/null >"$logs/$name.log" 2>&1 &
  started_pid=$!
  started+=("$started_pid")
}

# stop PID: SIGTERM, 40 s to end, then SIGKILL.
stop() {
  local tries=400
  kill -TERM "$1" 2>/dev/null || return 0
  while kill -0 "$1" 2>/dev/null; do
    if [ $((tries -= 1)) -le 0 ]; then
      say "process $1 did not end in 40 s, killing it"
      kill -KILL "$1" 2>/dev/null || true
      break
    fi
    sleep 0.1
  done
  wait "$1" 2>/dev/null || true
}

# wait_for SECONDS PID COMMAND...: until the command succeeds; fails when time is up or the process has ended.
wait_for() {
  local end=$((SECONDS + $1)) pid=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# What a script does besides at its end: it redefines this.
before_finish() { :; }

finish() {
  local status=$? i
  trap '' INT TERM HUP
  trap - EXIT
  before_finish || true
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do stop "${started[i]}"; done
  [ -z "$scratch" ] || rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port FIRST: the first free one from there on.
free_port() {
  local port=$1
  while port_taken "$port"; do port=$((port + 1)); done
  echo "$port"
}

# ---- Docker ----------------------------------------------------------------------------------------------------

# docker_api METHOD PATH [CURL OPTION...]: the engine that DOCKER_HOST names, else the default socket. No version in
# the path: the engine answers in its own.
docker_api() {
  local host=${DOCKER_HOST:-unix:///var/run/docker.sock} method=$1 path=$2
  shift 2
  case $host in
    unix://*) curl -fsS --unix-socket "${host#unix://}" -X "$method" "$@" "http://localhost$path" ;;
    tcp://*) curl -fsS -X "$method" "$@" "http://${host#tcp://}$path" ;;
    *) die "DOCKER_HOST=$host: these scripts speak to unix:// and tcp:// (without TLS) only" ;;
  esac
}

docker_answers() { docker_api GET /_ping --max-time 5 >/dev/null 2>&1; }

# A Docker engine that answers, started here when there is none and we are root.
need_docker() {
  have curl || die "curl is missing: run script/bootstrap docker"
  if docker_answers; then return; fi
  [ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST: start that one, or unset DOCKER_HOST"
  if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
    die "you may not use /var/run/docker.sock: run 'sudo usermod -aG docker $(id -un)' and log in again"
  fi
  have dockerd || die "no Docker engine answers and dockerd is not installed: run script/bootstrap docker"
  is_root || die "no Docker engine answers at /var/run/docker.sock: start it with 'sudo systemctl start docker' (or 'sudo service docker start')"
  start dockerd dockerd
  local pid=$started_pid
  if ! wait_for 60 "$pid" docker_answers; then
    tail -n 15 "$logs/dockerd.log" >&2
    die "dockerd does not answer; its whole log is $logs/dockerd.log"
  fi
  if [ -n "$keep" ]; then
    unset "started[-1]"
    say "started dockerd, which goes on: end it with 'kill $pid' (log: $logs/dockerd.log)"
  else
    say "started dockerd for the time of this script (pid $pid, log: $logs/dockerd.log)"
  fi
}

# The engine's architecture, as Go calls it.
docker_arch() {
  local arch
  arch=$(docker_api GET /version | sed -n 's/.*"Arch":"\([^"]*\)".*/\1/p')
  [ -n "$arch" ] || die "the Docker engine does not say its architecture"
  echo "$arch"
}

# ---- Programs --------------------------------------------------------------------------------------------------

need_go() { have go || die "Go is missing: run script/bootstrap go"; }

# need_fileyard: sets $fileyard, the program that was built last.
need_fileyard() {
  local program
  fileyard=
  for program in "$target"/{release,debug}/fileyard; do
    if [ -x "$program" ] && [ "$program" -nt "$fileyard" ]; then fileyard=$program; fi
  done
  [ -n "$fileyard" ] || die "fileyard is not built: run cargo build --release"
}

# need_chromium: sets $chromium.
need_chromium() {
  for chromium in chromium chromium-browser google-chrome; do
    if chromium=$(command -v "$chromium"); then return; fi
  done
  die "Chromium is missing: run script/bootstrap chromium"
}

# What the slow tests are built with. Over the whole workspace, as the fast ones are: by the package, Cargo would choose
# other features for what it depends on, and build all of that again.
slow_features=fileyard/failpoints,fileyard-storage/full-stack,fileyard-oci/full-stack,fileyard-orchestrator/full-stack,fileyard-tests/full-stack

# The program that the tests drive, able to be killed at a named step.
build_for_tests() {
  cargo build --features failpoints
  export FILEYARD_TEST_BIN=$target/debug/fileyard
}

# ---- Benchmarks ------------------------------------------------------------------------------------------------

load_average() { cut -d ' ' -f 1-3 /proc/loadavg; }

# describe_run WHAT [DIR]: which fileyard, what of it and when; and on which machine, with the file system of DIR.
describe_run() {
  local commit cpu memory disk=
  commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo "of no known commit")
  cpu=$(sed -n '/^model name/{s/[^:]*: //p;q}' /proc/cpuinfo)
  memory=$(awk '/^MemTotal:/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)
  # The disk's name too, where it is on one.
  [ -z "${2:-}" ] || disk=$(df --output=fstype,source "$2" | awk 'NR == 2 { print $1 ($2 ~ "^/" ? " " $2 : "") ", " }')
  printf 'fileyard %s, %s, %s.\n%s, %s cores, %s memory, %s, %sload %s before.\n' "$commit" "$1" "$(date -u +%F)" \
    "${cpu:-unknown CPU}" "$(nproc)" "$memory" "$(uname -sr)" "$disk" "$(load_average)"
}

# need_drill DOCKER [PART...]: the tests' processor, packed, and with DOCKER also among Docker's images; each PART is
# one of script/bootstrap's.
need_drill() {
  local to=--pack
  is_root || die "containers without Docker want root"
  "$root/script/bootstrap" build go ${1:+docker} "${@:2}"
  if [ -n "$1" ]; then
    need_docker
    to=--docker
  fi
  "$root/script/sample" "$to"
}

# ---- MinIO -----------------------------------------------------------------------------------------------------

minio_user=${MINIO_ROOT_USER:-fileyard}
minio_secret=${MINIO_ROOT_PASSWORD:-fileyard-secret}

# need_minio: sets $minio, built on first use.
need_minio() { minio=$("$root/script/minio" build); }

# Its own word for being ready comes before its objects are there: whoever asks without a key is refused once they are.
minio_answers() { [ "$(curl -sS --max-time 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/")" = 403 ]; }

# start_minio DIR PORT: on loopback only, until the script ends.
start_minio() {
  mkdir -p "$1"
  start minio env MINIO_ROOT_USER="$minio_user" MINIO_ROOT_PASSWORD="$minio_secret" MINIO_BROWSER=off \
    "$minio" server --quiet --address "127.0.0.1:$2" "$1"
  if ! wait_for 60 "$started_pid" minio_answers "$2"; then
    tail -n 15 "$logs/minio.log" >&2
    die "MinIO does not answer on port $2; its whole log is $logs/minio.log"
  fi
}

# make_bucket ENDPOINT USER SECRET BUCKET: there afterwards, also if it was before.
make_bucket() {
  local answer
  answer=$(curl -sS --max-time 30 -o /dev/null -w '%{http_code}' --aws-sigv4 aws:amz:us-east-1:s3 --user "$2:$3" -X PUT "$1/$4")
  case $answer in
    200 | 409) ;;
    *) die "$1 answered $answer to making the bucket $4: are the keys right?" ;;
  esac
}

# ---- Registry --------------------------------------------------------------------------------------------------

registry_user=fileyard
registry_password='fileyard-secret'

registry_answers() { curl -fsS --max-time 5 --user "$registry_user:$registry_password" "http://127.0.0.1:$1/v2/"; }

# start_registry DIR PORT: an image registry that asks for a password, on loopback only, until the script ends.
start_registry() {
  have docker-registry || die "docker-registry is missing: run script/bootstrap registry"
  mkdir -p "$1"
  # shellcheck disable=SC2016 # the bcrypt of $registry_password: this registry knows no other hash, and making one takes one more package.
  printf '%s:%s\n' "$registry_user" '$2y$05$Ho5blw16DTfVtE9SMOIgTOyfUHH4MhMn7uaUdfaiPkxoHfXaPVgrC' >"$1/htpasswd"
  cat >"$1/config.yml" <<-END
	version: 0.1
	log: {level: warn}
	storage: {filesystem: {rootdirectory: "$1/data"}, delete: {enabled: true}}
	http: {addr: "127.0.0.1:$2"}
	auth: {htpasswd: {realm: fileyard, path: "$1/htpasswd"}}
	END
  start registry docker-registry serve "$1/config.yml"
  if ! wait_for 30 "$started_pid" registry_answers "$2"; then
    tail -n 15 "$logs/registry.log" >&2
    die "docker-registry does not answer on port $2; its whole log is $logs/registry.log"
  fi
}

# ---- Debian ----------------------------------------------------------------------------------------------------

# need_packages: sets $suite, $arch and $sources, this system's suite and where apt has it from, as lines of a sources.list:
# the main archive, its updates and its security updates. Whatever else apt knows stays out.
need_packages() {
  have mmdebstrap || die "mmdebstrap is missing: run script/bootstrap examples"
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016 # the names are apt's
  sources=$(apt-get indextargets --format '$(IDENTIFIER) $(ORIGIN) $(RELEASE) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' |
    sed -n "s/^Packages \(Debian\|Ubuntu\) $suite\(-updates\|-security\)\{0,1\} deb /deb /p" | sort -u)
  [ -n "$sources" ] || die "apt has no package lists of Debian or Ubuntu ${suite:-(no codename)} here: run apt-get update"
  arch=$(dpkg --print-architecture)
}

# Changes once a week: what is made of packages is then made anew, with their security updates.
this_week() { echo $(($(date +%s) / 604800)); }

# slim_options: sets $options, of mmdebstrap: what reaches the archive as apt here does, and leaves out documentation,
# translations and drivers of graphics cards.
slim_options() {
  local option
  options=(--dpkgopt=force-unsafe-io)
  while IFS= read -r option; do options+=("--aptopt=$option"); done < <(apt-config dump | grep -E '^Acquire::(https?::|Retries )')
  for option in '/usr/share/'{doc,man,info,locale,lintian,bash-completion,icons}'/*' '/usr/lib/*/dri/*' \
    '/usr/lib/*/libLLVM*' '/usr/lib/*/mfx/*'; do
    options+=("--dpkgopt=path-exclude=$option")
  done
}
