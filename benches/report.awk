# The raw lines of a run -> a table on standard output and the file named by `json`.
# Every figure is a median over the rounds with its [min..max]; a ratio is taken within each round first.

function value(name,    i) {
  for (i = 1; i <= NF; i++)
    if (index($i, name "=") == 1) return substr($i, length(name) + 2)
  return ""
}

# Sorts list[1..n] in place; n is the number of rounds.
function sort(list, n,    i, j, x) {
  for (i = 2; i <= n; i++) {
    x = list[i]
    for (j = i - 1; j >= 1 && list[j] > x; j--) list[j + 1] = list[j]
    list[j + 1] = x
  }
}

# What -> low, mid, high.
function spread(what, client, mode,    n, i, list) {
  n = 0
  for (i = 1; i <= rounds; i++)
    if ((what, client, mode, i) in seen) list[++n] = seen[what, client, mode, i] + 0
  if (n == 0) return 0
  sort(list, n)
  low = list[1]
  high = list[n]
  mid = n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
  return 1
}

function range(what, client, mode, scale, digits,    f) {
  if (!spread(what, client, mode)) return "-"
  f = "%." digits "f"
  return sprintf(f " [" f ".." f "]", mid / scale, low / scale, high / scale)
}

function quoted(s) {
  gsub(/\\/, "\\\\", s)
  gsub(/"/, "\\\"", s)
  return "\"" s "\""
}

function json_spread(key, what, client, mode) {
  if (!spread(what, client, mode)) return ""
  return sprintf("\"%s\":{\"median\":%.3f,\"min\":%.3f,\"max\":%.3f}", key, mid, low, high)
}

function join(a, b) { return a == "" ? b : b == "" ? a : a "," b }

$1 ~ /^round=/ {
  r = value("round") + 0
  if (r > rounds) rounds = r
  c = value("client")
  m = value("mode")
  if (!(c in known)) {
    known[c] = 1
    clients[++client_count] = c
  }
  seen["cpu", c, m, r] = value("cpu_ns_per_op")
  seen["p50", c, m, r] = value("wall_p50_us")
  seen["p99", c, m, r] = value("wall_p99_us")
  if (value("cut") == 1) cut[c " " m] = 1
}
$1 == "heap" || $1 == "instructions" { slope[$1, value("client"), value("mode"), value("what")] = value("per_op") }
$1 == "fact" {
  key = $2
  sub(/^fact [^ ]* /, "")
  fact_keys[++facts] = key
  fact[key] = $0
}

END {
  label["floor"] = "floor (send, recv)"
  label["curl"] = "libcurl easy"
  label["helio"] = "helio_complete"
  modes[1] = "requests"
  modes[2] = "stream"
  modes[3] = "plain"
  title["requests"] = "non-streaming request, warm connection"
  title["stream"] = "one unpaced stream, with \"obfuscation\" as OpenAI sends it"
  title["plain"] = "one unpaced stream, only the text changes from chunk to chunk"
  expected["requests"] = 1
  expected["stream"] = expected["plain"] = 5
  for (m = 1; m <= 3; m++)
    for (r = 1; r <= rounds; r++)
      if (("cpu", "helio", modes[m], r) in seen && seen["cpu", "curl", modes[m], r] + 0 > 0)
        seen["ratio", "helio", modes[m], r] = seen["cpu", "helio", modes[m], r] / seen["cpu", "curl", modes[m], r]

  body = ""
  for (m = 1; m <= 3; m++) {
    mode = modes[m]
    if (mode == "requests") {
      unit = "CPU us per request"
      scale = 1000
      digits = 1
    } else {
      unit = "CPU ns per chunk"
      scale = 1
      digits = 0
    }
    printf "\n%s\n%-20s %-26s %-22s %-22s %-22s %s\n", title[mode], "", unit,
      mode == "requests" ? "wall p50 us" : "wall p50 us/stream", mode == "requests" ? "wall p99 us" : "wall p99 us/stream",
      "heap calls (bytes)", ("instructions", "floor", mode, "Collected") in slope ? "instructions" : ""
    part = ""
    for (i = 1; i <= client_count; i++) {
      c = clients[i]
      heap = sprintf("%.2f (%.0f)", slope["heap", c, mode, "calls"], slope["heap", c, mode, "bytes"])
      ins = ("instructions", c, mode, "Collected") in slope ? sprintf("%.0f", slope["instructions", c, mode, "Collected"]) : ""
      printf "%-20s %-26s %-22s %-22s %-22s %s\n", label[c], range("cpu", c, mode, scale, digits), range("p50", c, mode, 1, 0),
        range("p99", c, mode, 1, 0), heap, ins
      one = join(json_spread("cpu_ns", "cpu", c, mode), join(json_spread("wall_p50_us", "p50", c, mode), json_spread("wall_p99_us", "p99", c, mode)))
      one = one sprintf(",\"heap_calls\":%.4f,\"heap_bytes\":%.1f", slope["heap", c, mode, "calls"], slope["heap", c, mode, "bytes"])
      if (ins != "") one = one ",\"instructions\":" ins
      part = join(part, sprintf("\n    %s:{%s}", quoted(c), one))
    }
    if (spread("ratio", "helio", mode)) {
      printf "%-20s %-26s (expected: at most %d)\n", "helio / libcurl", range("ratio", "helio", mode, 1, 2), expected[mode]
      part = join(part, "\n    " json_spread("helio_to_curl_cpu", "ratio", "helio", mode))
    }
    body = join(body, sprintf("\n  %s:{%s}", quoted(mode), part))
  }
  for (k in cut) printf "%s was cut short by its time limit\n", k
  printf "\n%s rounds, medians [min..max]; heap%s: difference between two sizes; load average %s\n", fact["rounds"],
    ("instructions", "floor", "stream", "Collected") in slope ? " and user-space instructions" : "", fact["load_average"]

  head = ""
  for (i = 1; i <= facts; i++) {
    v = fact[fact_keys[i]]
    head = join(head, sprintf("\n  %s:%s", quoted(fact_keys[i]), v ~ /^[0-9]+$/ ? v : quoted(v)))
  }
  printf "{%s,%s\n}\n", head, body >json
}
