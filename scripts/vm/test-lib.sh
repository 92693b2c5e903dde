# What the scripts of tests use in the virtual machine to report; run.ts reads it from the console.

# result NAME ok|FAIL TEXT: one result. Lines of TEXT are joined, since a result is one line; the end of a long one is kept.
result() {
  printf '::result %s %s %s\n' "$1" "$2" "$(printf '%s' "$3" | tr '\n' '|' | tail -c 4000)"
}

# check NAME COMMAND...: a result with the command's output: ok if it exits with 0.
check() {
  check_name=$1
  shift
  check_output=$("$@" 2>&1)
  check_code=$?
  if [ "$check_code" = 0 ]; then
    result "$check_name" ok "$check_output"
  else
    result "$check_name" FAIL "exit code $check_code: $check_output"
  fi
}

# outcome NAME COMMAND...: a result that tells exit code and output, and leaves the judgement to the test.
outcome() {
  outcome_name=$1
  shift
  outcome_output=$("$@" 2>&1)
  result "$outcome_name" ok "exit code $?: $outcome_output"
}

# as_user COMMAND...: runs it as the ordinary user of the machine with systemd, with the way to that user's manager and
# bus, which are there after "systemctl start user@1000". Its cgroup stays the script's.
as_user() {
  setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all env --ignore-environment --chdir=/home/user \
    PATH="$PATH" HOME=/home/user USER=user XDG_RUNTIME_DIR=/run/user/1000 \
    DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
