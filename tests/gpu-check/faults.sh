# Shell: what goes wrong with a GPU, on the server that runs: its process killed in the middle of a search, and a card
# that other programs fill. The statement's rows must be right, and the server must not notice. Sourced by server.sh.
# shellcheck shell=bash

started=$(sql -c 'SELECT pg_postmaster_start_time()')
crowd=$(sum_of "phash_pairs('SELECT id, hash FROM crowd', $wide)")
small="SELECT count(*) FROM phash_pairs('SELECT id, hash FROM photos LIMIT 100', 5)"
measure cpu 1 "$crowd"
wanted=$result

# --- The process is killed while pairs come from it

# Waits until a search runs in the GPU process, and until it is in the middle of it; then kills the process.
kill_it() {
  sql -v milliseconds="$1" <<'SQL'
SELECT set_config('check.after', (:milliseconds / 1e3)::text, false) \g /dev/null
DO $$
DECLARE
  number int4;
BEGIN
  FOR look IN 1 .. 20000 LOOP
    SELECT process INTO number FROM lumina.gpu_info() WHERE active_searches > 0;
    EXIT WHEN number IS NOT NULL;
    PERFORM pg_sleep(0.001);
  END LOOP;
  PERFORM pg_sleep(current_setting('check.after')::float8);
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', format('cat >/dev/null; kill -9 %s', number));
END
$$;
SQL
}

step "the GPU process is killed"
killed=0 notice=''
for after in 50 20 100 5 200; do
  sql -c 'SELECT lumina.gpu_reset()' >/dev/null
  measure cuda 1 "$small"
  before=$(info process)
  kill_it "$after" >"$work/killer" 2>&1 &
  killer=$!
  measure cuda 1 "$crowd"
  wait "$killer" || { cat "$work/killer" >&2; continue; }
  killed=$((killed + 1))
  if [ "$result" != "$wanted" ]; then
    fail "kill -9 of the GPU process in a search of ${wanted% *} pairs" "$wanted" "$result"
    break
  fi
  notice=$(failed_over "$work/said")
  [ -z "$notice" ] || break
done
what="kill -9 of the GPU process in the middle of a search of ${wanted% *} pairs"
if [ "$killed" -eq 0 ]; then
  fail "$what" "killed" "no search was met"
elif [ "$result" = "$wanted" ] && [ -n "$notice" ]; then
  right "$what" "the CPU's rows and a NOTICE" "the same rows after $took ms; $notice"
elif [ "$result" = "$wanted" ]; then
  fail "$what" "a NOTICE" "the right rows $killed times, and none"
fi
measure cuda 1 "$small"
after=$(info process)
if [ -n "$after" ] && [ "$after" != "$before" ]; then
  right "the next search" "another process" "process $after after $before, failures: $(info failures)"
else
  fail "the next search" "another process" "process ${after:-none} after $before"
fi

# --- The card is full

# The stand-in for the driver has memory for each process: there it is told what others have.
stand_in() { [ -z "${LUMINA_CUDA_STANDIN:-}" ] || printf '%s\n' "$@" >"$LUMINA_CUDA_STANDIN"; }
fill_card() {
  mkfifo "$work/filler"
  ours "$here/check" fill <"$work/filler" >"$work/filled" 2>&1 &
  filler=$!
  exec 9>"$work/filler"
  for ((look = 0; look < 600; look++)); do
    if grep -q '^full' "$work/filled" || ! kill -0 "$filler" 2>/dev/null; then break; fi
    sleep 0.1
  done
  cat "$work/filled" >&2
  grep -q '^full' "$work/filled"
}
empty_card() {
  exec 9>&-
  wait "$filler" || true
  filler=''
  rm -f "$work/filler"
}

step "a full card"
sql -c 'SELECT lumina.gpu_reset()' >/dev/null
pdq=$(sum_of "phash_pairs('SELECT id, hash FROM pdq', 31)")
measure cpu 1 "$pdq"
wanted=$result
# A process that has taken no memory yet, but for its context.
end_process() {
  local number
  number=$(info process)
  [ -n "$number" ] || return 0
  as_user kill "$number"
  for ((look = 0; look < 100; look++)); do [ -n "$(info process)" ] || break; sleep 0.1; done
}
end_process
measure cuda 1 "$small"
if fill_card; then
  stand_in 'memory 1000000'
  full=$(sed 's/full: //' "$work/filled")
  measure cuda 1 "$pdq"
  what="a card that fills while the process runs"
  notice=$(failed_over "$work/said")
  if [ "$result" = "$wanted" ]; then
    notice=${notice:-on the device, which had room}
    right "$what: $full" "the CPU's rows" "the same rows after $took ms; $notice"
  else
    fail "$what: $full" "$wanted" "$result"
  fi
  end_process
  stand_in other-context-full
  measure auto 1 "$pdq"
  what="a card that is full before the process starts"
  if [ "$result" = "$wanted" ]; then
    right "$what, auto" "the CPU's rows" "the same rows after $took ms; $(info state)"
  else
    fail "$what, auto" "$wanted" "$result"
  fi
  said=$(sql -c 'SET lumina.device = cuda' -c "$pdq" 2>&1 || true)
  case $said in
    "$wanted") right "$what, cuda" "an error, or the rows" "the same rows" ;;
    *'the GPU cannot be used'* | *'memory of the GPU is full'* | *'the GPU has failed'*)
      said=$(grep -m 1 'ERROR\|NOTICE' <<<"$said" | sed 's/^.*\(ERROR\|NOTICE\): *//')
      right "$what, cuda" "an error, or the rows" "$said; $(info state)"
      ;;
    *) fail "$what, cuda" "an error, or the rows" "$said" ;;
  esac
  empty_card
  stand_in ''
  sql -c 'SELECT lumina.gpu_reset()' >/dev/null
  before=$(info 'coalesce(searches, 0)')
  measure cuda 1 "$pdq"
  after=$(info 'coalesce(searches, 0)')
  if [ "$result" = "$wanted" ] && [ "$(info state)" = running ] && [ "$after" -gt "$before" ]; then
    right "the card is free again" "on the device" "the same rows after $took ms"
  else
    fail "the card is free again" "on the device" "$result, $(info "concat_ws(', ', state, last_error)")"
  fi
else
  fail "a full card" "full" "$(tail -n 1 "$work/filled")"
  empty_card
fi

# --- The server has noticed nothing

if [ "$(sql -c 'SELECT pg_postmaster_start_time()')" = "$started" ] &&
  ! grep -q 'terminating any other active server processes' "$work/server.log"; then
  right "the server after all of it" "as it was" "no session was ended"
else
  fail "the server after all of it" "as it was" "$(grep -m 1 'was terminated by signal' "$work/server.log")"
fi
ours "$bin/pg_ctl" -D "$work/data" -s -w -m fast stop || fail "the end of the server" "a clean one" "none"
