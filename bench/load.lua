-- wrk's part: sends the prepared requests and looks at every answer.
-- Arguments: folder with request.N and answer.N, how many, content type of both ways, and whether
-- each thread sends them "in turn" or "one" always, which wrk does not copy for every sending.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

local function read(name)
  local file = assert(io.open(name, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

local function in_turn(folder, count)
  local requests, turn = {}, 0
  for index = 1, count do
    requests[index] = wrk.format(nil, nil, nil, read(folder .. "/request." .. index))
    expected[read(folder .. "/answer." .. index)] = true
  end
  return function()
    turn = turn % count + 1
    return requests[turn]
  end
end

function init(arguments)
  local folder, count, media, order = arguments[1], tonumber(arguments[2]), arguments[3], arguments[4]
  expected, wrong = {}, 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = media
  wrk.headers["Accept"] = media
  if order == "in turn" then
    request = in_turn(folder, count)
  else
    local own = (number - 1) % count + 1
    wrk.body = read(folder .. "/request." .. own)
    expected[read(folder .. "/answer." .. own)] = true
  end
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
