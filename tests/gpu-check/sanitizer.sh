# Shell: the kernels under NVIDIA's compute-sanitizer, where it is installed. Sourced by run.
# shellcheck shell=bash

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
tools=(memcheck) patience=60
[ "$scale" != full ] || tools=(memcheck racecheck initcheck synccheck) patience=600
if [ -z "$sanitizer" ]; then
  row "compute-sanitizer" "nothing found" "not installed" "not checked"
else
  for tool in "${tools[@]}"; do
    step "compute-sanitizer: $tool"
    status=0
    # With its own libraries, and the checking program with this machine's: both need nothing but glibc and GCC's.
    as_user env "TMPDIR=$work" timeout "$patience" \
      "$sanitizer" --tool "$tool" --error-exitcode 9 "$here/check" compare-inside tiny \
      >"$work/sanitizer" 2>&1 || status=$?
    found=$(grep -o 'ERROR SUMMARY:.*\|RACECHECK SUMMARY:.*' "$work/sanitizer" | tail -n 1 || true)
    case $status in
      0) right "compute-sanitizer: $tool" "nothing found" "${found:-nothing}" ;;
      124) row "compute-sanitizer: $tool" "nothing found" "not done within $patience s" "not checked" ;;
      *)
        tail -n 30 "$work/sanitizer" >&2
        fail "compute-sanitizer: $tool" "nothing found" "${found:-exit status $status}"
        ;;
    esac
  done
fi
