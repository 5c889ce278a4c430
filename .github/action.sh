#!/usr/bin/env bash
# What action.yml runs: `action.sh install`, then `action.sh run`. Everything it is told comes by the environment;
# see the `env` of action.yml, and GITHUB_* and RUNNER_TEMP, which the runner sets.
set -euo pipefail

# The working directory is a checkout of somebody else's: no Python started here may import from it, and what reads it
# must not have the token in its environment (see `run`).
export PYTHONSAFEPATH=1
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${RUNNER_TEMP:?}/pflow-lower
marker='<!-- pflow-lower diff -->'

install() {
  "${PYTHON:-python3}" -I -m venv "$work/venv"
  local wanted=$here
  [[ ${INPUT_MARKDOWN:-true} != true ]] || wanted="$here[pflow]"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$wanted"
}

# `run` starts itself again without the token, which comes by a descriptor then: what /proc says of a process is what it
# was started with, whatever it has unset since.
run() {
  if [[ ${1:-} != token-on-3 ]]; then
    exec env -u GH_TOKEN -u GITHUB_TOKEN bash "${BASH_SOURCE[0]}" run token-on-3 3<<<"${GH_TOKEN:-}"
  fi
  IFS= read -r token <&3 || token=
  exec 3<&-
  mkdir -p "$work"
  PATH=$work/venv/bin:$PATH
  paths=()
  local path
  while IFS= read -r path; do
    [[ -z ${path//[[:space:]]/} ]] || paths+=("$path")
  done <<<"${INPUT_PATHS:-}"
  failed=0
  [[ ${INPUT_CHECK:-true} != true ]] || check
  [[ ${INPUT_DIFF:-true} != true || -z ${INPUT_BASE:-} ]] || compare
  return "$failed"
}

# The findings as annotations; then, where there are any, the differences for people, in which nothing may be taken
# for a command to the runner.
check() {
  local status=0
  pflow-lower check --quiet --format "$(form)" -- ${paths[@]+"${paths[@]}"} >"$work/findings.txt" || status=$?
  shown "$work/findings.txt"
  output up-to-date "$([[ $status == 0 ]] && echo true || echo false)"
  [[ $status == 0 ]] && return
  failed=1
  pflow-lower check -- ${paths[@]+"${paths[@]}"} | as_text || true
}

# Print standard input such that the runner takes no line of it for a command.
as_text() {
  local end
  end=$(python3 -I -c 'import secrets; print(secrets.token_hex(16))')
  echo "::stop-commands::$end"
  cat
  echo "::$end::"
}

# Print findings: as annotations, which are commands and escaped, or as text.
shown() {
  if [[ $(form) == github ]]; then cat "$1"; else as_text <"$1"; fi
}

# What the changes since the base mean: annotations, the summary of the job, and a comment.
compare() {
  local body=$work/diff.md
  # A checkout of one commit lacks the base; of a revision that is here, nothing is fetched.
  git cat-file -e "$INPUT_BASE^{commit}" 2>/dev/null ||
    git fetch --quiet --no-tags --depth=1 origin -- "$INPUT_BASE"
  local range=$INPUT_BASE..HEAD
  pflow-lower diff --git "$range" --format "$(form)" ${INPUT_FAIL_ON:+--fail-on "$INPUT_FAIL_ON"} -- ${paths[@]+"${paths[@]}"} \
    >"$work/findings.txt" || failed=1
  shown "$work/findings.txt"
  pflow-lower diff --git "$range" --format json -- ${paths[@]+"${paths[@]}"} >"$work/diff.json" 2>/dev/null || true
  pflow-lower diff --git "$range" --format markdown -- ${paths[@]+"${paths[@]}"} >"$work/text.md" 2>/dev/null || true
  [[ -s $work/text.md ]] || return 0  # git could not answer, which the first of the three has said
  { echo "$marker"; cat "$work/text.md"; } >"$body"
  output changes "$(classes <"$work/diff.json")"
  cat "$body" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
  if [[ ${INPUT_COMMENT:-true} == true && -n ${PULL_REQUEST:-} ]]; then
    comment "$body" || echo "::warning::pflow-lower could not write its comment (a pull request from a fork may not)"
  fi
}

# One comment, kept up to date; none as long as there is nothing to say.
comment() {
  local body=$1 known
  [[ $PULL_REQUEST =~ ^[0-9]+$ ]] || return 1
  known=$(GH_TOKEN=$token gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" \
    --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id" | head -n 1) || return 1
  if [[ -n $known ]]; then
    GH_TOKEN=$token gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" --field "body=@$body"
  elif ! grep -q '^No workflow has changed\.$' "$body"; then
    GH_TOKEN=$token gh api --silent --method POST "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" --field "body=@$body"
  fi
}

# `github` where this version has it.
form() {
  pflow-lower check --help | grep -q github && echo github || echo text
}

classes() {
  python3 -I -c '
import json, sys
found = json.load(sys.stdin)["comparisons"]
print(",".join(sorted({kind for one in found for kind in one["summary"]})))' 2>/dev/null || true
}

output() {
  printf '%s=%s\n' "$1" "$2" >>"${GITHUB_OUTPUT:-/dev/null}"
}

case ${1:-} in
  install | run) "$@" ;;
  *) echo "usage: action.sh install | run" >&2; exit 2 ;;
esac
