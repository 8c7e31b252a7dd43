-- Browser-sized requests of 100 Sessions in rotation. wrk.headers are set by -H; tokens stand one a
-- line in the file that BENCH_TOKENS names.
local requests, next_one = {}, 0

function init(args)
  for token in io.lines(os.getenv("BENCH_TOKENS")) do
    wrk.headers["Cookie"] = "theme=dark; lang=en; _ga=GA1.2.1234567890.1700000000; octelium_auth=" .. token
    requests[#requests + 1] = wrk.format("GET", os.getenv("BENCH_PATH"))
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
