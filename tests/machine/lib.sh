# shellcheck shell=bash
# Shared by run and rootless: bash, set up to fail early, in the directory of what is tested.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export FILEYARD_TEST_BIN=$PWD/fileyard FILEYARD_TEST_IMAGES=$PWD/images

# make_yard DIRECTORY: a config, and an image for it.
make_yard() {
  mkdir "$1"
  printf 'engine.kind = "oci"\n[processors.sample]\nimage = "fileyard/sample:latest"\npull = "never"\n' >"$1/fileyard.toml"
  "$FILEYARD_TEST_BIN" image import "$FILEYARD_TEST_IMAGES/sample.tar" --data "$1/fileyard-data"
}

# check_in DIRECTORY: what fileyard says of its engine there.
check_in() { cd "$1" && "$FILEYARD_TEST_BIN" check; }

# run_programs FILE: of tests, a line for each with its arguments.
run_programs() {
  local program arguments
  while read -r program arguments; do
    printf '\n== %s %s\n' "$program" "$arguments"
    # shellcheck disable=SC2086 # they are several
    "tests/$program" $arguments </dev/null | tee "/tmp/said-$UID"
    # A filter that fits nothing is no success.
    grep -q '^test result: ok\. [1-9]' "/tmp/said-$UID"
  done <"$1"
}
