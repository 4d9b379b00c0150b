#!/usr/bin/env bash
# The benchmarks: run.sh [--build DIR] [PART...]; parts: ring normalise encode
# fanout scale latency hot watch memory (default: all).
#
# Prints lines "bench NAME key=value ..." and, at the end, each target beside what was measured.
# What is compared is measured in one run, in turns, and shown as medians: a busy machine is then
# busy for all. Takes about ten minutes; `./dev bench` builds the release before.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

build=build/release
clients=2000          # of the fan-out run: one stream each
updates_per_s=250     # of the simulated market: some 40 visible changes of its best ten levels
pairs=7               # server and bare loop in turns
window_s=6            # of steady state, per run
scale_clients=(1000 5000 10000)
scale_sends_per_s=80000 # whatever the number of clients
scale_pairs=3
hot_clients=1000
hot_trades_per_s=12000 # of the one instrument, with --batch-us
hot_batch_us=10000
watch_clients=5000
watch_batch_us=20000
watch_instruments=500
watch_count=50        # of one client
watch_changes_per_s=10 # of the best bid and offer of an instrument
idle_clients=5000     # of the memory run
connect_patience_s=30

scratch=$(mktemp -d)
pids=() # what is running, and was started here
table=()
failed=0

# shellcheck disable=SC2317 # called by the trap
stop_all() {
    local pid running=("${pids[@]}")
    for pid in "${running[@]}"; do
        stop "$pid"
    done
    rm -rf "$scratch" "/dev/shm/tickfan.bench-$$" "/dev/shm/tickfan.bench-$$".{lock,sock}
}
trap stop_all EXIT
trap 'exit 130' INT TERM

forget() { # forget PID: it has ended
    local pid kept=()
    for pid in "${pids[@]}"; do
        [[ $pid == "$1" ]] || kept+=("$pid")
    done
    pids=("${kept[@]}")
}

stop() { # stop PID: gently, and after 10 s for good
    local tries
    kill "$1" 2>/dev/null || true
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
    forget "$1"
}

# ---- figures ---------------------------------------------------------------------------------

median() { # median VALUE...
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

spread_percent() { # spread_percent VALUE...
    printf '%s\n' "$@" | sort -g |
        awk '{ v[NR] = $1 } END { printf "%.0f\n", (v[NR] - v[1]) * 100 / v[int((NR + 1) / 2)] }'
}

calc() { # calc FORMAT AWK-EXPRESSION
    awk "BEGIN { printf \"$1\", $2 }"
}

value() { # value KEY LINE: of "key=value" in a bench line
    local word
    for word in $2; do
        [[ $word == "$1="* ]] && echo "${word#*=}" && return
    done
    return 1
}

row() { # row WHAT least|most TARGET MEASURED UNIT
    local ok
    ok=$(awk "BEGIN { print ($4 $([[ $2 == least ]] && echo '>=' || echo '<=') $3) ? \"yes\" : \"NO\" }")
    table+=("$(printf '%-58s %s %-10s %-10s %-12s %s' "$1" \
        "$([[ $2 == least ]] && echo '>=' || echo '<=')" "$3" "$4" "$5" "$ok")")
}

# Parts run where `set -e` has no effect, so that one that fails does not end the others: each step
# that can fail says so itself.

# ---- the machine -----------------------------------------------------------------------------

cores() { # where the sender runs, and where everything around it
    if (($(nproc) >= 2)); then
        sender_core=0 other_core=1
    else
        sender_core=0 other_core=0
    fi
}

describe() {
    local model commit
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
    echo "machine: ${model:-unknown}, $(nproc) cores, Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg)"
    echo "commit:  $commit, $("$build/tickfan" --version)"
    echo
}

skip() { # skip PART WHY
    echo "bench $1 skipped=\"$2\""
}

# ---- ring, normalise -------------------------------------------------------------------------

bench_ring() {
    local text
    (($(nproc) >= 2)) || { skip ring "needs two cores"; return 0; }
    text=$(timeout 150 "$build/tests/bench/region/ring_bench") || return 1
    echo "$text"
    row "ring: 64-byte records published, one reader keeping up" least 20 \
        "$(calc %.1f "$(value records_per_s "$(grep ring_publish_64B <<<"$text")") / 1e6")" "M records/s"
    timeout 60 "$build/tests/bench/region/bell_bench" # a reader of this process, and one of another
}

bench_normalise() {
    local text corpus status=0
    text=$(timeout 60 "$build/tests/bench/ingest/normalise_bench") || status=$?
    ((status != 77)) || { skip normalise "no recorded venue data; set TICKFAN_DATA"; return 0; }
    ((status == 0)) || return "$status"
    echo "$text"
    for corpus in flashbook cryptofeed; do
        row "normalise: scan + book + publish, $corpus" least 300 \
            "$(value mb_per_s "$(grep "^bench normalise corpus=$corpus" <<<"$text")")" "MB/s/core"
    done
}

# ---- a server and its clients ----------------------------------------------------------------

# Start a server with a region and ports of its own: server_pid, ws_port, http_port.
server_start() { # server_start SIM-OPTIONS FLAG...
    tickfan_start serve --venue "sim:$1" "${@:2}"
}

tickfan_start() { # tickfan_start COMMAND FLAG...
    local tries tid
    : >"$scratch/server"
    "$build/tickfan" "$1" --config none --region "bench-$$" --listen 127.0.0.1:0 --http 127.0.0.1:0 \
        --log-level warn --fanout-threads 1 "${@:2}" >"$scratch/server" &
    server_pid=$!
    pids+=("$server_pid")
    for ((tries = 0; tries < 100; tries++)); do
        grep -q '^HTTP ' "$scratch/server" && break
        kill -0 "$server_pid" || return 1
        sleep 0.05
    done
    ws_port=$(sed -n 's#^WebSocket .*:\([0-9]*\)/v1/ws$#\1#p' "$scratch/server")
    http_port=$(sed -n 's#^HTTP .*:\([0-9]*\)/ .*#\1#p' "$scratch/server")
    for tid in /proc/"$server_pid"/task/*; do
        tid=${tid##*/}
        if [[ $(<"/proc/$server_pid/task/$tid/comm") == fanout-* ]]; then
            fanout_tid=$tid
            taskset -p -c "$sender_core" "$tid" >/dev/null
        else
            taskset -p -c "$other_core" "$tid" >/dev/null
        fi
    done
}

metrics() { # the page of the server, into $scratch/metrics
    exec 3<>"/dev/tcp/127.0.0.1/$http_port"
    printf 'GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n' >&3
    timeout 10 tr -d '\r' <&3 >"$scratch/metrics"
    exec 3>&-
}

metric() { # metric NAME [THREAD], as the page of the last metrics() has it
    awk -v process="$1" -v name="tickfan_$1" -v thread="${2:-fanout-0}" \
        '$1 == process || $1 == name || $1 == name "{thread=\"" thread "\"}" { print $2 }' "$scratch/metrics"
}

# Connect and ask; returns when all have, with sink_pid.
clients_start() { # clients_start COUNT SECONDS SINK-OPTION...
    local tries
    : >"$scratch/sink"
    taskset -c "$other_core" "$build/tests/bench/io/sink_clients" --port "$ws_port" --clients "$1" \
        --seconds "$2" --ws /v1/ws "${@:3}" >"$scratch/sink" &
    sink_pid=$!
    pids+=("$sink_pid")
    for ((tries = 0; tries < connect_patience_s * 20; tries++)); do
        grep -q '^ready' "$scratch/sink" && return 0
        kill -0 "$sink_pid" || return 1
        sleep 0.05
    done
    return 1
}

subscribe() { # subscribe CHANNEL...: the request
    local names
    printf -v names '"%s",' "$@"
    echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"channels\":[${names%,}]}}"
}

# ---- fan-out beside a bare loop --------------------------------------------------------------

fanout_cpu_ns() { # of the fan-out thread so far
    cut -d' ' -f1 "/proc/$server_pid/task/$fanout_tid/schedstat"
}

# What the page says now of the fan-out thread's counters, and its CPU time: into the array `taken`.
taken_names=(frames_delivered_total sent_bytes_total frames_encoded_total sends_total
    frames_skipped_total turns_total trades_lost_total ring_events_total)
take() {
    local name
    taken=()
    metrics || return 1
    for name in "${taken_names[@]}"; do taken+=("$(metric "$name")"); done
    taken+=("$(metric published_bbos_total ingest || true)")
    taken+=("$(fanout_cpu_ns)")
}

# The counters' growth over a window of steady state: into `grown`, in the order of take().
observe() { # observe SECONDS
    local i before
    take || return 1
    before=("${taken[@]}")
    sleep "$1"
    take || return 1
    grown=()
    for i in "${!taken[@]}"; do grown+=($((taken[i] - before[i]))); done
}

# One run of the server: ns_per_frame, bytes_per_frame, frames_per_s of one client, and a line.
run_server() {
    local frames cpu_ns
    server_start "instruments=1,updates_per_s=$updates_per_s,trades_per_s=0,burst_every_s=0" ||
        return 1
    clients_start "$clients" 600 --send "$(subscribe book.sim.BTC-USD.10.raw)" || return 1
    sleep 1
    observe "$window_s" || return 1
    stop "$sink_pid"
    stop "$server_pid"
    frames=${grown[0]} cpu_ns=${grown[9]}
    ((frames > 0)) || return 1
    ns_per_frame=$((cpu_ns / frames))
    bytes_per_frame=$(((grown[1] + frames / 2) / frames))
    frames_per_s=$(((grown[2] + window_s / 2) / window_s))
    ((frames_per_s > 0)) || frames_per_s=1
    frames_per_send=$(calc %.3f "$frames / ${grown[3]}")
    echo "bench fanout clients=$clients delivered=$frames bytes_per_frame=$bytes_per_frame" \
        "frames_per_s=$frames_per_s frames_per_send=$frames_per_send" \
        "skipped=${grown[4]} turns=${grown[5]}" \
        "cpu_percent=$(calc %.1f "$cpu_ns / 1e7 / $window_s") cpu_ns_per_frame=$ns_per_frame"
}

run_bare() { # run_bare BYTES RATE OPTION...: bare_ns
    local text
    text=$(timeout 60 tests/bench/io/bare_loop.sh "$build/tests/bench/io" --clients "$clients" \
        --bytes "$1" --rate "$2" --seconds "$window_s" "${@:3}") || return 1
    text=$(grep '^bench bare_loop' <<<"$text")
    echo "$text"
    bare_ns=$(value cpu_ns_per_frame "$text")
}

bench_fanout() {
    local pair server=() bare=() ratio=()
    if (($(ulimit -Hn) < clients + 100)); then
        skip fanout "the limit of open files is below $clients"
        return 0
    fi
    for ((pair = 0; pair < pairs; pair++)); do
        run_server || return 1
        run_bare "$bytes_per_frame" "$frames_per_s" || return 1
        server+=("$ns_per_frame")
        bare+=("$bare_ns")
        ratio+=("$(calc %.3f "$ns_per_frame / $bare_ns")")
    done
    run_bare "$bytes_per_frame" "$frames_per_s" --send-loop || return 1
    echo "bench fanout_ratio fanout_ns=$(median "${server[@]}") bare_ns=$(median "${bare[@]}")" \
        "ratio=$(median "${ratio[@]}") fanout_spread_percent=$(spread_percent "${server[@]}")" \
        "bare_spread_percent=$(spread_percent "${bare[@]}")" \
        "to_send_loop=$(calc %.3f "$(median "${server[@]}") / $bare_ns")"
    row "fan-out: CPU per delivered frame, to a bare io_uring loop" most 1.15 "$(median "${ratio[@]}")" "x"
    row "fan-out: frames per send, one stream" most 1.01 "$frames_per_send" "frames"
}

# ---- the same at other numbers of clients ----------------------------------------------------

bench_scale() {
    local pair server bare ratio
    for clients in "${scale_clients[@]}"; do
        if (($(ulimit -Hn) < clients + 200)); then
            skip scale "the limit of open files is below $clients"
            continue
        fi
        # Some 16% of the simulated book messages change its best ten levels.
        updates_per_s=$((scale_sends_per_s * 100 / 16 / clients))
        server=() bare=() ratio=()
        for ((pair = 0; pair < scale_pairs; pair++)); do
            run_server || return 1
            run_bare "$bytes_per_frame" "$frames_per_s" || return 1
            server+=("$ns_per_frame")
            bare+=("$bare_ns")
            ratio+=("$(calc %.3f "$ns_per_frame / $bare_ns")")
        done
        echo "bench scale clients=$clients fanout_ns=$(median "${server[@]}")" \
            "bare_ns=$(median "${bare[@]}") ratio=$(median "${ratio[@]}")" \
            "fanout_spread_percent=$(spread_percent "${server[@]}")" \
            "bare_spread_percent=$(spread_percent "${bare[@]}")"
        row "fan-out: CPU per frame to a bare loop, $clients clients" most 1.15 \
            "$(median "${ratio[@]}")" "x"
    done
}

# ---- encoding --------------------------------------------------------------------------------

bench_encode() {
    timeout 60 "$build/tests/bench/fanout/encode_bench"
}

# ---- latency ---------------------------------------------------------------------------------

# What `sink_clients --latency` says of a run of $window_s: sink_line.
observe_clients() { # observe_clients COUNT SINK-OPTION...
    clients_start "$1" "$window_s" --latency "${@:2}" || return 1
    sleep 3 # it warms up for two seconds
    observe $((window_s - 2)) || return 1
    wait "$sink_pid" || return 1
    forget "$sink_pid"
    grep '^bench sink_clients' "$scratch/sink"
    sink_line=$(grep '^bench sink_latency' "$scratch/sink")
}

bench_latency() {
    local text count
    if (($(nproc) >= 2)); then
        text=$(timeout 120 "$build/tests/bench/fanout/latency_bench") || return 1
        echo "$text"
        row "venue frame received to first send, sleeping, p50" most 100 \
            "$(value p50_us "$(grep mode=sleeping <<<"$text")")" "us"
        row "venue frame received to first send, spinning, p50" most 20 \
            "$(value p50_us "$(grep mode=spinning <<<"$text")")" "us"
    else
        skip latency "needs two cores"
    fi
    for count in 1000 5000; do
        server_start "instruments=1,updates_per_s=60,trades_per_s=0,burst_every_s=0" || return 1
        observe_clients "$count" --send "$(subscribe book.sim.BTC-USD.10.raw)" || return 1
        stop "$server_pid"
        echo "bench clients_latency clients=$count ${sink_line#bench sink_latency }"
    done
}

# ---- hot trades, watch list ------------------------------------------------------------------

# Trades come from a writer of their own, so that nothing but the fan-out thread is measured.
bench_hot() {
    local per_core writer_pid tries
    taskset -c "$other_core" "$build/tests/bench/fanout/trade_writer" --region "bench-$$" \
        --rate "$hot_trades_per_s" --seconds 120 >"$scratch/writer" &
    writer_pid=$!
    pids+=("$writer_pid")
    for ((tries = 0; tries < 100; tries++)); do
        grep -q '^ready' "$scratch/writer" && break
        sleep 0.05
    done
    tickfan_start fanout --batch-us "$hot_batch_us" || return 1
    observe_clients "$hot_clients" --send "$(subscribe trades.hot.BTC-USD.raw)" || return 1
    stop "$server_pid"
    stop "$writer_pid"
    # A trade is a record of the ring, and each client gets it unless it is lost, which is counted.
    per_core=$(calc %.2f "${grown[7]} * $hot_clients / (${grown[9]} / 1e9) / 1e6")
    echo "bench hot_trades clients=$hot_clients trades_per_s=$((grown[7] / (window_s - 2))) batch_us=$hot_batch_us" \
        "lost=${grown[6]} skipped=${grown[4]} messages_per_core_s=${per_core}e6" \
        "cpu_percent=$(calc %.1f "${grown[9]} / 1e7 / ($window_s - 2)")" \
        "bytes_per_s=$((grown[1] / (window_s - 2))) ${sink_line#bench sink_latency }"
    ((grown[6] == 0)) || echo "bench hot_trades: trades were lost, the figure does not count"
    row "hot trades, $hot_clients clients: messages per second and core" least 12 "$per_core" "M/s"
    row "hot trades: p99 from publication to a client" most 100000 "$(value age_p99_us "$sink_line")" "us"
}

get() { # get PATH: the body
    exec 3<>"/dev/tcp/127.0.0.1/$http_port"
    printf 'GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n' "$1" >&3
    timeout 10 tr -d '\r' <&3 | sed '1,/^$/d'
    exec 3>&-
}

bench_watch() {
    local per_core
    if (($(ulimit -Hn) < watch_clients + 200)); then
        skip watch "the limit of open files is below $watch_clients"
        return 0
    fi
    server_start "instruments=$watch_instruments,updates_per_s=$((watch_changes_per_s * 4 / 3)),trades_per_s=0,burst_every_s=0,depth=20" \
        --batch-us "$watch_batch_us" || return 1
    sleep 2 # until every instrument has its book
    get /v1/instruments | grep -o '"symbol":"[^"]*"' | sed 's/.*:"\(.*\)"/bbo.sim.\1.raw/' >"$scratch/watch"
    observe_clients "$watch_clients" --watch "$scratch/watch" --watch-count "$watch_count" || return 1
    stop "$server_pid"
    per_core=$(calc %.2f "${grown[0]} / (${grown[9]} / 1e9) / 1e6")
    echo "bench watch_list clients=$watch_clients watched=$watch_count batch_us=$watch_batch_us" \
        "changes_per_s=$(calc %.1f "${grown[8]} / $watch_instruments / ($window_s - 2)")" \
        "updates_per_core_s=${per_core}e6 updates_per_send=$(calc %.1f "${grown[0]} / (${grown[3]} + 0.001)")" \
        "cpu_percent=$(calc %.1f "${grown[9]} / 1e7 / ($window_s - 2)") ${sink_line#bench sink_latency }"
    row "watch list, $watch_clients clients: updates per second and core" least 4 "$per_core" "M/s"
}

# ---- memory ----------------------------------------------------------------------------------

# With `limit` connections at most: bytes_in_use, bytes_resident, subscriptions.
memory_of() { # memory_of LIMIT CLIENTS [SUBSCRIBE]
    server_start "instruments=1,updates_per_s=0.1,trades_per_s=0,burst_every_s=0" \
        --connections-max "$1" || return 1
    if (($2 > 0)); then
        clients_start "$2" 600 ${3:+--send "$3"} || return 1
        sleep 1
    fi
    metrics || return 1
    bytes_in_use=$(metric memory_in_use_bytes)
    bytes_resident=$(metric process_resident_memory_bytes)
    subscriptions=$(metric subscriptions)
    (($2 == 0)) || stop "$sink_pid"
    stop "$server_pid"
}

# In use: what the program has asked for, also what is set aside before anybody comes, so a server
# with room for one client is subtracted. Resident: the pages that are touched; here half of the
# clients are subtracted, because the first of them touch what all share.
bench_memory() {
    local in_use resident per_connection per_subscription
    if (($(ulimit -Hn) < idle_clients + 100)); then
        skip memory "the limit of open files is below $idle_clients"
        return 0
    fi
    memory_of 1 0 || return 1
    in_use=$bytes_in_use
    memory_of "$idle_clients" $((idle_clients / 2)) || return 1
    resident=$bytes_resident
    memory_of "$idle_clients" "$idle_clients" || return 1
    per_connection=$(calc %.0f "($bytes_in_use - $in_use) / $idle_clients")
    echo "bench connection_memory connections=$idle_clients bytes=$per_connection" \
        "resident_bytes=$(calc %.0f "($bytes_resident - $resident) / ($idle_clients / 2)")"
    in_use=$bytes_in_use resident=$bytes_resident
    memory_of "$idle_clients" "$idle_clients" \
        "$(subscribe {bbo,ticker,trades}.sim.BTC-USD.{raw,100ms} \
            book.sim.BTC-USD.{10,20,50,100}.{raw,100ms})" || return 1
    per_subscription=$(calc %.1f "($bytes_in_use - $in_use) / $subscriptions")
    echo "bench subscription_memory subscriptions=$subscriptions bytes=$per_subscription" \
        "resident_bytes=$(calc %.1f "($bytes_resident - $resident) / $subscriptions")"
    row "memory: plain idle connection" most 448 "$per_connection" "bytes"
    row "memory: subscription" most 32 "$per_subscription" "bytes"
}

# ---- all -------------------------------------------------------------------------------------

main() {
    local part parts=()
    while (($#)); do
        case $1 in
        --build) build=${2:?--build needs a folder} && shift ;;
        ring | normalise | encode | fanout | scale | latency | hot | watch | memory) parts+=("$1") ;;
        *)
            echo "usage: run.sh [--build DIR] [ring|normalise|encode|fanout|scale|latency|hot|watch|memory]..." >&2
            exit 2
            ;;
        esac
        shift
    done
    ((${#parts[@]})) || parts=(ring normalise encode fanout scale latency hot watch memory)
    cores
    describe
    for part in "${parts[@]}"; do
        "bench_$part" || { echo "bench $part failed"; failed=1; }
        echo
    done
    ((${#table[@]} == 0)) || printf '%-58s %-13s %-10s %-12s %s\n' what target measured unit ok "" "" "" "" "" |
        sed '/^ *$/d'
    ((${#table[@]} == 0)) || printf '%s\n' "${table[@]}"
    return "$failed"
}

main "$@"
