# Shell: the extension in a server of its own, on the device: results against the CPU's, times, a GPU process that is
# killed, a full card. Sourced by run.
# shellcheck shell=bash

case $scale in
  tiny) few=500 many=700 images=300 dense=1100 wide=32 ;;
  *) few=100000 many=1000000 images=100000 dense=150000 wide=10 ;;
esac

export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
unset PGHOSTADDR PGSERVICE PGSSLMODE PGTARGETSESSIONATTRS
export PGOPTIONS='-c statement_timeout=600s -c lumina.max_pairs=100000000 -c jit=off'
sql() { ours "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
info() { sql -c "SELECT $1 FROM lumina.gpu_info()"; }

# The middle one of the numbers that come in.
median() { sort -n | awk '{ n[NR] = $1 } END { print n[int((NR + 1) / 2)] }'; }

# Runs a statement on a device several times in one session; sets result, took and searched (milliseconds) and said.
measure() {
  local device=$1 times=$2 statement=$3 n status=0
  {
    echo "SET lumina.device = $device; SET client_min_messages = debug1;"
    echo '\timing on'
    for ((n = 0; n < times; n++)); do echo "$statement;"; done
  } | sql >"$work/out" 2>"$work/said" || status=$?
  if [ "$status" -ne 0 ]; then
    grep -v '^DEBUG' "$work/said" >&2 || true
    result="status $status" took=0 searched=0
    return
  fi
  result=$(sed '/^Time: /d' "$work/out" | sort -u)
  took=$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/out" | median)
  searched=$(sed -n 's/.*lumina: found .* in \([0-9.]*\) ms.*/\1/p' "$work/said" | median)
}

# Whether a search has failed over to the CPU, by its notice.
failed_over() { sed -n '/the GPU has failed/{s/.*NOTICE: *//p;q}' "$1"; }

at_most() { # what, most, here: milliseconds
  local says=ok
  awk -v here="$3" -v most="$2" 'BEGIN { exit !(here > most) }' && says='**slow**'
  row "$1" "at most $2 ms" "$3 ms" "$says"
}

# Pairs as a number and a sum that does not depend on their order.
sum_of() { echo "SELECT count(*) || ' ' || bit_xor(hashint8extended(a << 32 | b, distance::int8)) FROM $1"; }
rows_of() {
  echo "SELECT count(*) || ' ' || md5(string_agg(r, '|' ORDER BY r)) FROM (SELECT g::text AS r FROM $1 g) s"
}

# A statement on both devices.
same() {
  local what=$1 statement=$2 wanted before after on_cpu
  measure cpu 1 "$statement"
  wanted=$result on_cpu=$took
  before=$(info 'coalesce(searches, 0)')
  measure cuda 1 "$statement"
  after=$(info 'coalesce(searches, 0)')
  if [ "$result" != "$wanted" ] || [ -z "$wanted" ]; then
    fail "SQL: $what" "$wanted" "$result"
  elif [ "$after" -le "$before" ] || [ -n "$(failed_over "$work/said")" ]; then
    fail "SQL: $what" "on the device" "on the CPU"
  else
    right "SQL: $what" "as on the CPU, $on_cpu ms" "${result%% *} rows, $took ms"
  fi
}

step "a server"
ours "$bin/initdb" --no-sync -A trust -U postgres -E UTF8 --locale C -D "$work/data" >"$work/initdb.log" 2>&1 ||
  { cat "$work/initdb.log" >&2; exit 1; }
as_user tee -a "$work/data/postgresql.conf" >/dev/null <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$work'
shared_preload_libraries = 'lumina'
fsync = off
autovacuum = off
max_wal_size = 8GB
max_worker_processes = 16
lumina.search_memory = 4GB
lumina.search_memory_limit = 16GB
SETTINGS
ours "$bin/pg_ctl" -D "$work/data" -l "$work/server.log" -s -w start || { tail -n 5 "$work/server.log" >&2; exit 1; }

sql -c 'CREATE EXTENSION lumina'
table() { # name, set, words, rows
  sql -c "CREATE TABLE $1 (id int8, hash phash($(($3 * 64))))"
  ours "$here/check" hashes "$2" "$3" "$4" | sql -c "COPY $1 FROM STDIN"
  sql -c "ANALYZE $1"
}
table hashes uniform 1 "$few"
table photos photo 1 "$few"
table pdq uniform 4 "$few"
table pdqs uniform 4 "$many"
table crowd photo 1 "$dense"
sql -c "CREATE TABLE both_hashes AS SELECT id, p.hash, d.hash AS pdq FROM photos p JOIN pdq d USING (id)"

step "times from SQL to SQL"
pdqs="SELECT count(*) FROM phash_pairs('SELECT id, hash FROM pdqs', 90)"
measure cuda 1 "$pdqs"
if [ "$(info state)" = running ]; then
  row "SQL: $many of 256 bits within 90: $result pairs, with the start of the process" - "$took ms" ''
else
  fail "SQL: the GPU process" running "$(info "concat_ws(', ', state, last_error)")"
fi
measure cuda 5 "$pdqs"
at_most "SQL: $many of 256 bits within 90, the process running" 600 "$took"
row "SQL: its search" - "$searched ms" ''
measure cuda 5 "SELECT count(*) FROM phash_pairs('SELECT id, hash FROM pdq', 90)"
at_most "SQL: the search of $few of 256 bits within 90" 3 "$searched"
row "SQL: the whole statement" - "$took ms" ''
measure cuda 5 "SELECT count(*) FROM phash_pairs('SELECT id, hash FROM hashes', 5)"
at_most "SQL: the search of $few of 64 bits within 5" 3 "$searched"
row "SQL: the whole statement" - "$took ms" ''
# Most of this is the writing of rows.
measure cuda 5 "SELECT count(*) FROM phash_pairs('SELECT id, hash FROM photos', 5)"
row "SQL: $few of 64 bits, photo, within 5: $result pairs" - "$took ms, the search $searched ms" ''

step "results from SQL"
for radius in 5 10; do
  same "phash_pairs, $few of 64 bits, photo, within $radius" \
    "$(sum_of "phash_pairs('SELECT id, hash FROM photos', $radius)")"
done
same "phash_pairs, $few of 256 bits within 90" "$(sum_of "phash_pairs('SELECT id, hash FROM pdq', 90)")"
same "phash_pairs, $many of 256 bits within 31" "$(sum_of "phash_pairs('SELECT id, hash FROM pdqs', 31)")"
[ "$scale" = quick ] ||
  same "phash_pairs, $many of 256 bits within 90" "$(sum_of "phash_pairs('SELECT id, hash FROM pdqs', 90)")"
same "phash_pairs, two columns" "$(rows_of "phash_pairs('SELECT id, hash, pdq FROM both_hashes', ARRAY[10, 126])")"
same "phash_matches" \
  "$(rows_of "phash_matches('SELECT id, hash FROM pdq', 'SELECT id, hash FROM pdqs WHERE id <= $few', 31)")"
for strategy in clique star component; do
  same "phash_groups, $strategy, $few of 64 bits, photo, within 5" \
    "$(rows_of "phash_groups('SELECT id, hash FROM photos', 5, '$strategy')")"
done
same "phash_groups, $few of 256 bits within 90" "$(rows_of "phash_groups('SELECT id, hash FROM pdq', 90)")"

step "detect_duplicates"
sql -v images="$images" >/dev/null <<'SQL'
SELECT lumina.create_catalog('photos') AS id \gset
INSERT INTO lumina.images (catalog, sha256, size, format, width, height, ahash, dhash, dct, pdq, hash_valid)
SELECT :id, sha256(convert_to(id::text, 'UTF8')), 100000 + id * 7919 % 5000000, 'jpeg', 1000 + id * 13 % 3000,
    1000 + id * 17 % 2000, hash, hash, hash, repeat(hash::text, 4)::phash, true
FROM photos WHERE id <= :images ORDER BY id;
INSERT INTO lumina.image_files (catalog, image, path, original_path)
SELECT :id, id, '/photos/' || id, '/photos/' || id FROM lumina.images;
ANALYZE lumina.images, lumina.image_files;
SQL
detect() { # on a device: what the run says, but for its numbers
  local job
  job=$(sql -c "SET lumina.device = $1" -c "SELECT lumina.detect_duplicates('photos', 5)")
  sql -c 'SET client_min_messages = warning' -c "CALL lumina.wait_for_job($job)"
  sql -c "SELECT state || ' ' || (SELECT count(*) || ' ' || md5(string_agg(g::text, '|' ORDER BY g)) FROM (
      SELECT row(g.kind, g.distance, g.images, g.files, g.bytes, g.savings, g.also_near_count,
        array_agg(row(m.image, m.place, m.distance) ORDER BY m.place))::text AS g
      FROM lumina.duplicate_runs r JOIN lumina.duplicate_groups g ON g.run = r.id
      JOIN lumina.duplicate_members m ON m.group_id = g.id WHERE r.is_current GROUP BY g.id, g.run, g.catalog) g)
    FROM lumina.jobs WHERE id = $job"
}
wanted=$(detect cpu)
before=$(info 'coalesce(searches, 0)')
found=$(detect cuda)
what="SQL: detect_duplicates, $images images within 5"
case $found in
  "$wanted") ;;
  *) fail "$what" "$wanted" "$found" ;;
esac
if [ "$found" = "$wanted" ] && [ "$(info 'coalesce(searches, 0)')" -gt "$before" ] && [[ $found == succeeded* ]]; then
  right "$what" "as on the CPU" "$(cut -d ' ' -f 1,2 <<<"$found") groups"
elif [ "$found" = "$wanted" ]; then
  fail "$what" "on the device" "$found, not on the device"
fi

# shellcheck source=tests/gpu-check/faults.sh
. "$here/faults.sh"
