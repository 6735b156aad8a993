-- wrk's part: sends the prepared requests in turn, and looks at every answer.
-- Arguments: folder with request.N and answer.N, how many, content type of both ways.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local function read(name)
  local file = assert(io.open(name, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

function init(arguments)
  local folder, count, media = arguments[1], tonumber(arguments[2]), arguments[3]
  requests, expected, turn, wrong = {}, {}, 0, 0
  for number = 1, count do
    local body = read(folder .. "/request." .. number)
    local headers = { ["Content-Type"] = media, ["Accept"] = media }
    requests[number] = wrk.format("POST", nil, headers, body)
    expected[read(folder .. "/answer." .. number)] = true
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  if status ~= 200 or not expected[body] then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local total = 0
  for _, thread in ipairs(threads) do
    total = total + thread:get("wrong")
  end
  local failed = summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "max_ms": %.4f, '
      .. '"wrong": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, total, failed
  ))
end
