# What .ci/run and .ci/deep share: named steps that are timed and go on after a failure, and a
# summary at the end. Sourced, from the root of the repository.

set -euo pipefail
exec </dev/null
export CARGO_TERM_COLOR=never

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
step_names=()
failed_steps=()
skipped=()

# step NAME FUNCTION: runs the function in a subshell with `set -e`, shows and keeps what it says.
step() {
    local name=$1 function=$2 log status start=$SECONDS
    log=$logs/${#step_names[@]}
    step_names+=("$name")
    printf '\n=== %s\n' "$name"
    set +e
    (
        set -e
        "$function"
    ) 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    set -e
    local verdict=ok
    if [ "$status" -ne 0 ]; then
        verdict="FAILED (exit code $status)"
        failed_steps+=("$name")
    fi
    printf -- '--- %s: %s, %d s\n' "$name" "$verdict" $((SECONDS - start))
}

# skip NAME REASON: says that a step did not run, now and at the end.
skip() {
    skipped+=("$1: $2")
    printf '\n=== %s\nSKIPPED: %s\n' "$1" "$2"
}

# Where cargo puts what it builds.
target_dir() {
    printf '%s\n' "${CARGO_TARGET_DIR:-target}"
}

# The Zig compiler that the build scripts use.
zig() {
    cargo run --quiet --package ziggurat-zig-build --example zig -- "$@"
}

# Prints the tests' own summary lines and their sum, and exits. A step that failed without a failed
# test counts as one failure, so that the last line never says less than what happened.
finish() {
    local i name line n passed=0 failed=0 step_failed
    printf '\n=== summary, %d s in all\n' "$SECONDS"
    for i in "${!step_names[@]}"; do
        name=${step_names[$i]}
        step_failed=0
        if grep -qE '^test result: |^All [0-9]+ tests passed|^[0-9]+ passed; ' "$logs/$i"; then
            printf '%s\n' "$name"
        fi
        while IFS= read -r line; do
            printf '  %s\n' "$line"
            n=$(sed -nE 's/^All ([0-9]+) tests passed.*/\1/p; s/^[^0-9]*([0-9]+) passed.*/\1/p' <<<"$line")
            passed=$((passed + n))
            n=$(sed -nE 's/.* ([0-9]+) failed.*/\1/p' <<<"$line")
            step_failed=$((step_failed + ${n:-0}))
        done < <(grep -E '^test result: |^All [0-9]+ tests passed|^[0-9]+ passed; ' "$logs/$i")
        for line in "${failed_steps[@]}"; do
            if [ "$line" = "$name" ] && [ "$step_failed" -eq 0 ]; then
                step_failed=1
            fi
        done
        failed=$((failed + step_failed))
    done
    for line in "${skipped[@]}"; do printf 'skipped: %s\n' "$line"; done
    for line in "${failed_steps[@]}"; do printf 'failed: %s\n' "$line"; done
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ ${#failed_steps[@]} -eq 0 ] && [ "$failed" -eq 0 ]
}
