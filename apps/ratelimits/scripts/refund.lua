-- Takes back hits that decide.lua counted.
-- KEYS: what is kept. ARGV: when they were counted (milliseconds); for each key the width of a slice
-- (0: an exact log) and how many to take back.

local unpack, pack, sub, floor = struct.unpack, struct.pack, string.sub, math.floor
local SLICES = 64
local at = tonumber(ARGV[1])

local function keep(key, value)
  redis.call('SET', key, value, 'KEEPTTL')
end

local function refund_log(key, kept, cost)
  local wanted, length = at - unpack('>I6', kept), (#kept - 6) / 4
  local low, high = 0, length
  while low < high do -- the first that is not earlier
    local middle = floor((low + high) / 2)
    if unpack('>I4', kept, middle * 4 + 7) < wanted then low = middle + 1 else high = middle end
  end
  local last = low
  while last < length and last - low < cost and unpack('>I4', kept, last * 4 + 7) == wanted do
    last = last + 1
  end
  if last - low == length then
    redis.call('DEL', key)
  elseif last > low then
    keep(key, sub(kept, 1, low * 4 + 6) .. sub(kept, last * 4 + 7))
  end
end

local function refund_slices(key, kept, cost, width)
  local start, back = unpack('>I6', kept), 0
  if at < start then back = -floor((at - start) / width) end
  if back < SLICES then
    local place = (SLICES - 1 - back) * 4 + 7
    local count = math.max(0, unpack('>I4', kept, place) - cost)
    keep(key, sub(kept, 1, place - 1) .. pack('>I4', count) .. sub(kept, place + 4))
  end
end

for i, key in ipairs(KEYS) do
  local kept = redis.call('GET', key)
  local width, cost = tonumber(ARGV[i * 2]), tonumber(ARGV[i * 2 + 1])
  if kept and width > 0 then
    refund_slices(key, kept, cost, width)
  elseif kept then
    refund_log(key, kept, cost)
  end
end
return 1
